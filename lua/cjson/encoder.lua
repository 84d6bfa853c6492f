-- Owns the encoding of Lua values into JSON text.
-- Must never read settings but those of its argument, nor keep anything of a value behind (short keys excepted).
local buffer = require "string.buffer"
local marks = require "cjson.marks"
local escape = require "cjson.escape"

local type = type
local next = next
local error = error
local tonumber = tonumber
local tostring = tostring
local floor = math.floor
local format = string.format
local sort = table.sort
local getmetatable = getmetatable
local raw_metatable = debug.getmetatable
local put_string, put_key = escape.put_string, escape.put_key

local null, empty_array, array_mt, empty_array_mt = marks.null, marks.empty_array, marks.array_mt, marks.empty_array_mt
local HUGE = math.huge

local function refuse(value, reason)
    error(format("Cannot serialise %s: %s", type(value), reason), 0)
end

local function put_invalid_number(out, value, policy)
    if policy == "null" then
        out:put("null")
    elseif not policy then
        refuse(value, "must not be NaN or Infinity")
    elseif value ~= value then
        out:put("NaN")
    else
        out:put(value < 0 and "-Infinity" or "Infinity")
    end
end

-- The shortest text that reads as the same number again.
local function put_exact(out, value)
    for precision = 14, 17 do
        local text = format("%." .. precision .. "g", value)
        if tonumber(text) == value then
            out:put(text)
            return
        end
    end
end

local function put_number(out, value, settings)
    if value ~= value or value == HUGE or value == -HUGE then
        put_invalid_number(out, value, settings.encode_invalid_numbers)
    elseif settings.exact_numbers then
        put_exact(out, value)
    elseif settings.encode_number_precision == 14 then
        out:put(value)  -- which is %.14g
    else
        out:putf(settings.number_format, value)
    end
end

-- The length of `t` if it is to be an array, or nil for an object: all its keys are positive integers, not too sparse.
local function array_length(t, settings)
    local max, items = 0, 0
    for key in next, t do
        if type(key) ~= "number" or key < 1 or floor(key) ~= key then
            return nil
        end
        if key > max then
            max = key
        end
        items = items + 1
    end
    local ratio = settings.encode_sparse_ratio
    if ratio > 0 and max > items * ratio and max > settings.encode_sparse_safe then
        if not settings.encode_sparse_convert then
            refuse(t, "excessively sparse array")
        end
        return nil
    end
    return max
end

-- The length that a metatable makes an array of, or nil.
local function length_by_metatable(t)
    local mt = getmetatable(t)
    if mt == array_mt then
        return #t
    end
    mt = raw_metatable(t)
    local len = mt.__len
    return len and len(t)
end

local function length_of(t, settings)
    local has_metatable = getmetatable(t) ~= nil
    local length = has_metatable and length_by_metatable(t)
    if length then
        return length
    end
    length = array_length(t, settings)
    if length and (length > 0 or not settings.encode_empty_table_as_object) then
        return length
    end
    return has_metatable and raw_metatable(t) == empty_array_mt and #t or nil
end

-- Is `value` of a kind that JSON lacks and that the settings say to leave out?
local function is_skipped(value, settings)
    local kind = type(value)
    if kind == "userdata" then
        return settings.encode_skip_unsupported_value_types and value ~= null and value ~= empty_array
    end
    return settings.encode_skip_unsupported_value_types
        and (kind == "function" or kind == "thread" or kind == "cdata")
end

local function put_line(out, indent, depth)
    out:put("\n")
    for _ = 1, depth do
        out:put(indent)
    end
end

local put_value

local function put_array(out, t, length, depth, settings)
    local indent = settings.encode_indent
    local separator = "["
    for i = 1, length do
        local value = t[i]
        if not is_skipped(value, settings) then
            out:put(separator)
            separator = ","
            if indent then
                put_line(out, indent, depth)
            end
            put_value(out, value, depth, settings)
        end
    end
    if separator == "[" then
        out:put("[")
    end
    if indent and length > 0 then
        put_line(out, indent, depth - 1)
    end
    out:put("]")
end

local function put_object_key(out, key, settings)
    if type(key) == "string" then
        put_key(out, key, settings.escapes)
    elseif type(key) == "number" then
        out:put('"')
        put_number(out, key, settings)
        out:put('":')
    else
        refuse(key, "table key must be a number or string")
    end
end

local function by_text(a, b)
    return tostring(a) < tostring(b)
end

-- An iterator over `t` in the order of the texts of its keys.
local function sorted(t)
    local keys, i = {}, 0
    for key in next, t do
        keys[#keys + 1] = key
    end
    sort(keys, by_text)
    return function()
        i = i + 1
        return keys[i], t[keys[i]]
    end
end

local function put_object(out, t, depth, settings)
    local indent = settings.encode_indent
    local separator, has_items = "{", false
    local iterate, state = next, t
    if settings.sort_keys then
        iterate, state = sorted(t), nil
    end
    for key, value in iterate, state do
        has_items = true
        if not is_skipped(value, settings) then
            out:put(separator)
            separator = ","
            if indent then
                put_line(out, indent, depth)
            end
            put_object_key(out, key, settings)
            if indent then
                out:put(" ")
            end
            put_value(out, value, depth, settings)
        end
    end
    if separator == "{" then
        out:put("{")
    end
    if indent and has_items then
        put_line(out, indent, depth - 1)
    end
    out:put("}")
end

local function put_table(out, t, depth, settings)
    depth = depth + 1
    if depth > settings.encode_max_depth then
        error(format("Cannot serialise, excessive nesting (%d)", depth), 0)
    end
    local length = length_of(t, settings)
    if length then
        put_array(out, t, length, depth, settings)
    else
        put_object(out, t, depth, settings)
    end
end

function put_value(out, value, depth, settings)
    local kind = type(value)
    if kind == "string" then
        put_string(out, value, settings.escapes)
    elseif kind == "table" then
        put_table(out, value, depth, settings)
    elseif kind == "number" then
        put_number(out, value, settings)
    elseif kind == "boolean" then
        out:put(value and "true" or "false")
    elseif value == nil or value == null then
        out:put("null")
    elseif value == empty_array then
        out:put("[]")
    elseif not is_skipped(value, settings) then
        refuse(value, "type not supported")
    end
end

local _M = {}

-- Borrowed for the time of one encoding: a metamethod that encodes in between finds none and makes its own.
local spare

--- Encode `value`.
-- @param settings a table of the encode_* settings, number_format ("%.<precision>g"), escapes (cjson.escape),
--   and what lua-cjson lacks: sort_keys, exact_numbers (so many digits as it takes to read the same number again)
-- @return the text; raises the message of lua-cjson, without a position in the caller
function _M.encode(value, settings)
    local out = spare or buffer.new()
    spare = nil
    out:reset()
    put_value(out, value, 0, settings)
    local text = out:get()
    if settings.encode_keep_buffer then
        spare = out
    end
    return text
end

return _M
