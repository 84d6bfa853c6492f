-- Owns the making of codec instances: a module table with settings of its own.
-- Must never share settings between two instances; the marks (null, array_mt, …) are shared by all.
local argcheck = require "server.argcheck"
local decoder = require "cjson.decoder"
local encoder = require "cjson.encoder"
local marks = require "cjson.marks"
local settings_of = require "cjson.settings"

local type = type
local error = error
local pcall = pcall
local select = select
local sub = string.sub

-- For the functions of a module, which call it.
local function check_one_argument(count)
    if count ~= 1 then
        argcheck.fail(2, 1, "expected 1 argument")
    end
end

-- A number passes for its text, as for any C function that asks for a string; it has no name where pcall calls it.
local function decode(text, settings)
    if type(text) == "number" then
        text = text .. ""
    elseif type(text) ~= "string" then
        error("bad argument #1 to '?' (string expected, got " .. type(text) .. ")", 0)
    end
    return decoder.decode(text, settings)
end

local function new_module(new)
    local settings = settings_of.new()
    local module = {
        _NAME = "cjson",
        _VERSION = "2.1.0.11",
        null = marks.null,
        empty_array = marks.empty_array,
        empty_array_mt = marks.empty_array_mt,
        array_mt = marks.array_mt,
        new = new,
    }
    settings_of.install(settings, module)
    return module, settings
end

local _M = {}

--- A codec whose decode(text) and encode(value) raise what is wrong.
function _M.new()
    local module, settings = new_module(_M.new)

    function module.decode(...)
        check_one_argument(select("#", ...))
        local text = argcheck.check_string(1, 1, (...))
        local ok, value = pcall(decoder.decode, text, settings)
        if not ok then
            error(value, 2)
        end
        return value
    end

    function module.encode(...)
        check_one_argument(select("#", ...))
        local ok, text = pcall(encoder.encode, (...), settings)
        if not ok then
            -- what a metamethod of the value raised passes as it is
            error(text, type(text) == "string" and sub(text, 1, 16) == "Cannot serialise" and 2 or 0)
        end
        return text
    end

    return module
end

--- A codec whose decode(text) and encode(value) return nil, message for what is wrong.
function _M.new_safe()
    local module, settings = new_module(_M.new_safe)

    function module.decode(...)
        check_one_argument(select("#", ...))
        local ok, value = pcall(decode, (...), settings)
        if not ok then
            return nil, value
        end
        return value
    end

    function module.encode(...)
        check_one_argument(select("#", ...))
        local ok, text = pcall(encoder.encode, (...), settings)
        if not ok then
            return nil, text
        end
        return text
    end

    return module
end

return _M
