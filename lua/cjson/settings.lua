-- Owns the settings of a codec instance: their defaults, the functions that change them, and what these accept.
-- Must never encode or decode.
local argcheck = require "server.argcheck"
local escape = require "cjson.escape"

local type = type
local ipairs = ipairs
local select = select
local format = string.format
local tonumber = tonumber
local tostring = tostring
local floor = math.floor

local INT_MAX = 2 ^ 31 - 1

-- For the checks below, which the functions of a module call.
local function bad_argument(position, reason)
    argcheck.fail(3, position, reason)
end

local function check_count(limit, count)
    if count > limit then
        bad_argument(limit + 1, "found too many arguments")
    end
end

local function to_integer(value, position, min, max)
    local number = tonumber(value)
    if not number then
        bad_argument(position, "number expected, got " .. type(value))
    end
    local integer = number < 0 and -floor(-number) or floor(number)
    if integer < min or integer > max then
        bad_argument(1, format("expected integer between %d and %d", min, max))
    end
    return integer
end

-- `also` is a word that the setting takes besides "on" and "off", or nil.
local function to_switch(value, position, also)
    if type(value) == "boolean" then
        return value
    elseif value == "on" or value == "off" then
        return value == "on"
    elseif also and value == also then
        return value
    elseif type(value) ~= "string" and type(value) ~= "number" then
        bad_argument(position, "string expected, got " .. type(value))
    end
    bad_argument(position, format("invalid option '%s'", value))
end

-- derive(settings), here and below: run after each call, for what follows from the setting; nil: nothing does.
local function switch(settings, name, also, derive)
    return function(...)
        check_count(1, select("#", ...))
        local value = ...
        if value ~= nil then
            settings[name] = to_switch(value, 1, also)
        end
        if derive then
            derive(settings)
        end
        return settings[name]
    end
end

local function integer(settings, name, min, max, derive)
    return function(...)
        check_count(1, select("#", ...))
        local value = ...
        if value ~= nil then
            settings[name] = to_integer(value, 1, min, max)
        end
        if derive then
            derive(settings)
        end
        return settings[name]
    end
end

local function sparse_array(settings)
    return function(...)
        check_count(3, select("#", ...))
        local convert, ratio, safe = ...
        if convert ~= nil then
            settings.encode_sparse_convert = to_switch(convert, 1)
        end
        if ratio ~= nil then
            settings.encode_sparse_ratio = to_integer(ratio, 2, 0, INT_MAX)
        end
        if safe ~= nil then
            settings.encode_sparse_safe = to_integer(safe, 3, 0, INT_MAX)
        end
        return settings.encode_sparse_convert, settings.encode_sparse_ratio, settings.encode_sparse_safe
    end
end

local function indent(settings)
    return function(...)
        check_count(1, select("#", ...))
        local value = ...
        if type(value) == "string" or type(value) == "number" then
            settings.encode_indent = value ~= "" and tostring(value) or nil
        elseif value ~= nil then
            argcheck.fail(1, 1, "string expected, got " .. type(value))
        end
        return settings.encode_indent or ""
    end
end

local function derive_escapes(settings)
    settings.escapes = settings.encode_escape_forward_slash and escape.with_slash or escape.without_slash
end

local function derive_number_format(settings)
    settings.number_format = "%." .. settings.encode_number_precision .. "g"
end

local _M = {}

--- The defaults of OpenResty's lua-cjson.
function _M.new()
    local settings = {
        encode_sparse_convert = false,
        encode_sparse_ratio = 2,
        encode_sparse_safe = 10,
        encode_max_depth = 1000,
        encode_invalid_numbers = false,
        encode_number_precision = 14,
        encode_keep_buffer = true,
        encode_empty_table_as_object = true,
        encode_escape_forward_slash = true,
        encode_skip_unsupported_value_types = false,
        decode_max_depth = 1000,
        decode_invalid_numbers = true,
        decode_array_with_array_mt = false,
        decode_allow_comment = false,
    }
    derive_escapes(settings)
    derive_number_format(settings)
    return settings
end

--- Put the functions that read and change `settings` into `module`.
function _M.install(settings, module)
    for _, name in ipairs {
        "encode_keep_buffer", "encode_empty_table_as_object", "encode_skip_unsupported_value_types",
        "decode_invalid_numbers", "decode_array_with_array_mt", "decode_allow_comment",
    } do
        module[name] = switch(settings, name)
    end
    module.encode_invalid_numbers = switch(settings, "encode_invalid_numbers", "null")
    module.encode_max_depth = integer(settings, "encode_max_depth", 1, INT_MAX)
    module.decode_max_depth = integer(settings, "decode_max_depth", 1, INT_MAX)
    module.encode_sparse_array = sparse_array(settings)
    module.encode_indent = indent(settings)
    module.encode_number_precision = integer(settings, "encode_number_precision", 1, 16, derive_number_format)
    module.encode_escape_forward_slash = switch(settings, "encode_escape_forward_slash", nil, derive_escapes)
end

return _M
