-- Owns ngx.log and print. Source: the ngx_lua documentation.
local log = require "server.log"

local getinfo = debug.getinfo
local select, tostring, type, error = select, tostring, type, error
local concat = table.concat
local match = string.match

local _M = {}

local function text_of(...)
    local parts = {}
    for i = 1, select("#", ...) do
        local value = select(i, ...)
        if type(value) == "table" then
            local meta = getmetatable(value)
            if not meta or not meta.__tostring then
                error("bad argument #" .. i + 1 .. " to 'log' (expected table to have __tostring metamethod)", 3)
            end
        end
        parts[i] = value == ngx.null and "null" or tostring(value)
    end
    return concat(parts)
end

-- "file.lua:12: " of the caller, with its function's name as ngx_lua writes it.
local function where(level)
    local info = getinfo(level, "Sln")
    if not info then
        return ""
    end
    local name = info.name and (info.name .. "(): ") or ""
    return (match(info.short_src, "([^/]+)$") or info.short_src) .. ":" .. info.currentline .. ": " .. name
end

local function write(level, ...)
    if level > log.level then
        return
    end
    return log.write(level, "[lua] " .. where(4) .. text_of(...))
end

-- level: ngx.STDERR .. ngx.DEBUG.
function _M.log(level, ...)
    if type(level) ~= "number" or level < 0 or level > 8 then
        error("bad log level: " .. tostring(level), 2)
    end
    write(level, ...)
end

function _G.print(...)
    write(6, ...)
end

return _M
