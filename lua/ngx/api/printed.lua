-- Owns the text of what is printed: strings, numbers, nil, booleans, ngx.null, and arrays of these, nested.
-- Source: ngx_lua's ngx.print, and the chunks of its body filter and its sockets. Must never send anything.
local argcheck = require "server.argcheck"

local concat = table.concat
local fail = argcheck.fail
local floor = math.floor
local next, rawget, select, tostring, type = next, rawget, select, tostring, type

local HOLES_MAX = 1000000 -- nil is four letters for each of them

local _M = {}

local null = require("ngx.api.constants").null

-- A number as lua_Number2str writes it: -0 is 0.
local function number(value)
    return tostring(value + 0)
end
_M.number = number

-- The greatest index of an array that may have holes, or nil and why it is none.
local function length(array)
    local greatest, count = 0, 0
    for key in next, array do
        if type(key) ~= "number" or key < 1 or key ~= floor(key) then
            return nil, "non-array table found"
        end
        count = count + 1
        if key > greatest then
            greatest = key
        end
    end
    if greatest - count > HOLES_MAX then
        return nil, "excessively sparse array found"
    end
    return greatest
end

-- Append an array's text to parts[n]. strict: nil, booleans and null are refused.
-- Returns the new count of parts, or nil and what is wrong.
local function append_array(parts, n, array, strict)
    local last, err = length(array)
    for i = 1, last or 0 do
        local value = rawget(array, i)
        local kind = type(value)
        if kind == "string" then
            n = n + 1
            parts[n] = value
        elseif kind == "number" then
            n = n + 1
            parts[n] = number(value)
        elseif kind == "table" then
            n, err = append_array(parts, n, value, strict)
            if err then
                return nil, err
            end
        elseif not strict and (kind == "nil" or kind == "boolean" or value == null) then
            n = n + 1
            parts[n] = value == null and "null" or tostring(value)
        else
            return nil, "bad data type " .. kind .. " found"
        end
    end
    return last and n, err
end

-- The text of an array of strings and numbers, nested; nil and why it has none.
function _M.array(array)
    local parts = {}
    local n, err = append_array(parts, 0, array, true)
    if not n then
        return nil, err
    end
    return concat(parts)
end

local function append(parts, n, value)
    local kind = type(value)
    if kind == "table" then
        return append_array(parts, n, value, false)
    elseif kind == "number" then
        parts[n + 1] = number(value)
    elseif kind == "string" then
        parts[n + 1] = value
    elseif kind == "nil" or kind == "boolean" or value == null then
        parts[n + 1] = value == null and "null" or tostring(value)
    else
        return nil, "string, number, boolean, nil, ngx.null, or array table expected, but got " .. kind
    end
    return n + 1
end

-- The text of all arguments, one after the other. Called by the function that the user calls: it is the one
-- that raises.
function _M.text(...)
    local count = select("#", ...)
    if count == 1 and type((...)) == "string" then
        return (...)
    end
    local parts, n = {}, 0
    for i = 1, count do
        local last, err = append(parts, n, (select(i, ...)))
        if err then
            fail(2, i, err)
        end
        n = last
    end
    return concat(parts)
end

return _M
