-- Owns the values of nginx directives: times, sizes, flags, and texts with $variables in them.
local current = require "server.current"
local vars = require "server.vars"

local match, gsub, find, lower = string.match, string.gsub, string.find, string.lower
local error, tonumber, tostring = error, tonumber, tostring

local _M = {}

local SECONDS = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400, w = 604800, M = 2592000, y = 31536000 }
local BYTES = { [""] = 1, k = 1024, m = 1048576, g = 1073741824 }

-- "1h30m", "100ms", "60": seconds.
function _M.time(text)
    local total, rest = 0, text
    while rest ~= "" do
        local number, unit, tail = match(rest, "^(%d+)%s*([a-zA-Z]*)%s*(.*)$")
        if not number or unit ~= "" and not SECONDS[unit] then
            error('invalid value "' .. text .. '"', 0)
        end
        total = total + tonumber(number) * (SECONDS[unit] or 1)
        rest = tail
    end
    return total
end

-- "8k", "1m", "512": bytes.
function _M.size(text)
    local number, unit = match(lower(text), "^(%d+)([kmg]?)$")
    if not number then
        error('invalid value "' .. text .. '"', 0)
    end
    return tonumber(number) * BYTES[unit]
end

function _M.flag(text)
    text = lower(text)
    if text ~= "on" and text ~= "off" then
        error('invalid value "' .. text .. '": it must be "on" or "off"', 0)
    end
    return text == "on"
end

-- The value of a variable, as nginx puts it into texts: "" when it has none.
function _M.variable(name)
    local r, group = current.request, tonumber(name)
    local value
    if group then
        value = r.captures and r.captures[group] or nil
    else
        value = vars.getter(name)(r)
    end
    return value == nil and "" or tostring(value)
end

-- A function () -> string for a text with $name and ${name}.
function _M.template(text)
    if not find(text, "$", 1, true) then
        return function() return text end
    end
    local braced = gsub(text, "%${([%w_]+)}", "$%1\0")
    return function()
        return (gsub(gsub(braced, "%$([%a_][%w_]*)%z?", _M.variable), "%$(%d)%z?", _M.variable))
    end
end

return _M
