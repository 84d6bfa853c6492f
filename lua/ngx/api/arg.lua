-- Owns ngx.arg of the body filter: the piece that passes, and whether it is the last. Source: the ngx_lua
-- documentation, "ngx.arg".
local argcheck = require "server.argcheck"
local contexts = require "server.contexts"
local current = require "server.current"
local printed = require "ngx.api.printed"

local array_text, number_text = printed.array, printed.number
local check_integer, fail = argcheck.check_integer, argcheck.fail
local error, setmetatable, type = error, setmetatable, type

-- The text of a new piece; raises for the caller's caller.
local function piece(value)
    local kind = type(value)
    if kind == "string" then
        return value
    elseif kind == "nil" then
        return ""
    elseif kind == "number" then
        return number_text(value)
    elseif kind ~= "table" then
        error("bad chunk data type: " .. kind, 3)
    end
    local text, err = array_text(value)
    if not text then
        fail(2, 3, err)
    end
    return text
end

local function get(_, index)
    local r = current.request
    if not r then
        error("no request found", 2)
    elseif r.phase ~= "body_filter" then
        error("API disabled in the current context", 2)
    elseif index == 1 then
        return r.arg1
    elseif index == 2 then
        return r.arg2
    end
    return nil
end

local function set(_, index, value)
    local r = current.request
    if not r then
        return
    elseif r.phase ~= "body_filter" then
        error(contexts.refusal(r), 2)
    end
    index = check_integer(1, 2, index)
    if index == 1 then
        local text = piece(value)
        r.arg1 = text
    elseif index == 2 then
        r.arg2 = value and true or false
    else
        error("bad index: " .. index, 2)
    end
end

return { arg = setmetatable({}, { __index = get, __newindex = set }) }
