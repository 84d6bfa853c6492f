-- Owns the passing of values from one Lua VM to another: by value, as strings.
-- Must never raise because of what a value holds.
local buffer = require "string.buffer"

local next, select, type, unpack = next, select, type, unpack

local MAX_DEPTH = 100
local TOO_DEEP = "suspicious circular references, table depth exceed max depth: " .. MAX_DEPTH

local REFUSED = {
    ["function"] = "unsupported Lua type: LUA_TFUNCTION",
    userdata = "unsupported Lua type: LUA_TUSERDATA",
    thread = "unsupported Lua type: LUA_TTHREAD",
    cdata = "unsupported Lua type",
}
local NULL = buffer.decode("\3") -- the only userdata that passes: it is a bare pointer

local _M = {}

-- What is wrong with value as ngx_lua would say it, or nil.
local function refusal(value, depth)
    local kind = type(value)
    if kind ~= "table" then
        return value ~= NULL and REFUSED[kind] or nil
    elseif depth >= MAX_DEPTH then
        return TOO_DEEP
    end
    for key, item in next, value do
        local why = refusal(key, depth + 1) or refusal(item, depth + 1)
        if why then
            return why
        end
    end
    return nil
end

-- The values as one string, or nil and what is wrong with one of them.
function _M.pack(...)
    local count = select("#", ...)
    local values = { ... }
    local out = buffer.new():encode(count)
    for i = 1, count do
        local why = refusal(values[i], 1)
        if why then
            return nil, why
        end
        out:encode(values[i])
    end
    return out:get()
end

-- The values of a string that pack() made.
function _M.unpack(text)
    local input = buffer.new():set(text)
    local values, count = {}, input:decode()
    for i = 1, count do
        values[i] = input:decode()
    end
    return unpack(values, 1, count)
end

return _M
