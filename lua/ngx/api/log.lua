-- Owns ngx.log and print. Source: the ngx_lua documentation.
local argcheck = require "server.argcheck"
local log = require "server.log"

local check_integer, fail = argcheck.check_integer, argcheck.fail
local getinfo, getmetatable = debug.getinfo, debug.getmetatable
local number_text = require("ngx.api.printed").number
local select, tostring, type = select, tostring, type
local concat = table.concat
local match, sub = string.match, string.sub

local NOTICE = 6

-- What calls user code is Lua here and C in nginx, where a callee has no name.
local ROOT = match(getinfo(1, "S").source, "^(.*/)ngx/api/log%.lua$")
local SERVER, API = ROOT .. "server/", ROOT .. "ngx/api/"

local _M = {}

local function from_runtime(info)
    local source = info and info.source or ""
    return sub(source, 1, #SERVER) == SERVER or sub(source, 1, #API) == API
end

-- "file.lua:12: " of the function at level, with its name where it has one.
local function where(level)
    local info = getinfo(level, "Sln")
    if not info then
        return ""
    end
    local line = info.currentline > 0 and info.currentline or info.linedefined
    local place = match(info.short_src, "([^/\\]*)$") .. ":" .. line .. ": "
    if info.name and info.what == "Lua" and not from_runtime(getinfo(level + 1, "S")) then
        return place .. info.name .. "(): "
    end
    return place
end

local function text_of(value, n)
    local kind = type(value)
    if kind == "string" then
        return value
    elseif kind == "number" then
        return number_text(value)
    elseif kind == "nil" or kind == "boolean" then
        return tostring(value)
    elseif value == ngx.null then
        return "null"
    elseif kind == "table" then
        local meta = getmetatable(value)
        if not meta or not meta.__tostring then
            fail(3, n, "expected table to have __tostring metamethod")
        end
        return tostring(value)
    end
    fail(3, n, "string, number, boolean, or nil expected, got " .. kind)
end

-- Called by what the user calls.
local function write(level, ...)
    local parts = { "[lua] ", where(4) }
    for i = 1, select("#", ...) do
        parts[i + 2] = text_of(select(i, ...), i)
    end
    log.write(level, concat(parts))
end

-- level: ngx.STDERR .. ngx.DEBUG.
function _M.log(...)
    local level = check_integer(1, 1, (...), select("#", ...))
    if not (level >= 0 and level <= 8) then
        fail(1, 1, ("bad log level: %.0f"):format(level))
    end
    if level <= log.level then
        write(level, select(2, ...))
    end
end

function _G.print(...)
    if NOTICE <= log.level then
        write(NOTICE, ...)
    end
end

return _M
