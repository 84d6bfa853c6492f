-- Owns the list methods of ngx.shared.DICT: their arguments, returns and error strings, as ngx_lua's C
-- functions of these names have them (they count their arguments, unlike the other methods).
-- Must never know how a dictionary is stored.
local lists = require "ngx.shdict.lists"
local region = require "ngx.shdict.region"

local error, select, type = error, select, type

local MAX_KEY = 65535

local _M = {}

local function checked(method, wanted, dict, ...)
    local given = select("#", ...) + 1
    if given ~= wanted then
        error("expecting " .. wanted .. " arguments, but only seen " .. given, 3)
    end
    local found = type(dict) == "table" and dict[1]
    if not region.is_region(found) then
        error('bad "zone" argument', 3)
    end
    local key = ...
    if key == nil then
        return nil, "nil key"
    end
    if type(key) == "number" then
        key = tostring(key)
    elseif type(key) ~= "string" then
        error("bad argument #1 to '" .. method .. "' (string expected, got " .. type(key) .. ")", 3)
    end
    if key == "" then
        return nil, "empty key"
    end
    if #key > MAX_KEY then
        return nil, "key too long"
    end
    return found, key
end

local function pusher(method, left)
    return function(dict, ...)
        local into, key = checked(method, 3, dict, ...)
        if not into then
            return nil, key
        end
        local _, value = ...
        local kind = type(value)
        if kind == "string" then
            return lists.push(into, key, lists.STRING, value, left)
        elseif kind == "number" then
            return lists.push(into, key, lists.NUMBER, value, left)
        end
        return nil, "bad value type"
    end
end

local function popper(method, left)
    return function(dict, ...)
        local from, key = checked(method, 2, dict, ...)
        if not from then
            return nil, key
        end
        return lists.pop(from, key, left)
    end
end

-- lpush, rpush: (key, value); value: string or number. Return the length, or nil (false when even the
-- list's own entry found no room) and an error: "value not a list", "no memory", "bad value type".
_M.lpush, _M.rpush = pusher("lpush", true), pusher("rpush", false)

-- lpop, rpop: (key). Return the value, nil when there is no list, or nil, "value not a list".
_M.lpop, _M.rpop = popper("lpop", true), popper("rpop", false)

-- The length, 0 when there is no list, or nil, "value not a list".
function _M.llen(dict, ...)
    local from, key = checked("llen", 2, dict, ...)
    if not from then
        return nil, key
    end
    return lists.llen(from, key)
end

return _M
