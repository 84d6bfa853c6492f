-- Owns spans in the binary form of OTLP (opentelemetry-proto 1.x, trace/v1). Part of the plugin opentelemetry.
local bit = require "bit"
local ffi = require "ffi"

local band, rshift = bit.band, bit.rshift
local char, gsub = string.char, string.gsub
local concat = table.concat
local ffi_string = ffi.string
local floor = math.floor
local ipairs = ipairs
local tonumber = tonumber
local type = type

local VARINT, FIXED64, BYTES = 0, 1, 2 -- wire types
local STRING_VALUE, BOOL_VALUE, INT_VALUE, DOUBLE_VALUE = 1, 2, 3, 4

local SERVER = 2 -- of enum SpanKind
local ERROR = 2  -- of enum StatusCode

local double = ffi.new("double[1]")
local nanoseconds = ffi.new("uint64_t[1]")

local _M = {}

-- value: a non-negative integer below 2^53.
local function varint(value)
    local out = ""
    while value >= 128 do
        out = out .. char(value % 128 + 128)
        value = floor(value / 128)
    end
    return out .. char(value)
end

local function tag(field, wire)
    return varint(field * 8 + wire)
end

local function bytes(field, value)
    return tag(field, BYTES) .. varint(#value) .. value
end

local function whole(field, value)
    return tag(field, VARINT) .. varint(value)
end

-- An int64 of a Lua number: negative ones are ten bytes of two's complement.
local function int64(field, value)
    if value >= 0 then
        return whole(field, value)
    end
    local rest, out = ffi.cast("uint64_t", ffi.cast("int64_t", value)), {}
    for i = 1, 9 do
        out[i] = char(tonumber(band(rest, 127ULL)) + 128)
        rest = rshift(rest, 7)
    end
    return tag(field, VARINT) .. concat(out) .. char(tonumber(rest))
end

local function real(field, value)
    double[0] = value
    return tag(field, FIXED64) .. ffi_string(double, 8)
end

-- time: seconds.
local function moment(field, time)
    local seconds = floor(time)
    nanoseconds[0] = ffi.cast("uint64_t", seconds) * 1000000000ULL + floor((time - seconds) * 1e6 + 0.5) * 1000
    return tag(field, FIXED64) .. ffi_string(nanoseconds, 8)
end

local function any_value(value, is_integer)
    local kind = type(value)
    if kind == "boolean" then
        return whole(BOOL_VALUE, value and 1 or 0)
    elseif kind == "number" then
        return is_integer and int64(INT_VALUE, value) or real(DOUBLE_VALUE, value)
    end
    return bytes(STRING_VALUE, value)
end

local function key_value(field, key, value, is_integer)
    return bytes(field, bytes(1, key) .. bytes(2, any_value(value, is_integer)))
end

local function from_hex(text)
    return (gsub(text, "%x%x", function(digits)
        return char(tonumber(digits, 16))
    end))
end

local function add_attributes(out, field, attributes, is_integer)
    for i = 1, #attributes, 2 do
        out[#out + 1] = key_value(field, attributes[i], attributes[i + 1], is_integer)
    end
end

local function span_message(span)
    local out = {
        bytes(1, from_hex(span.trace_id)), bytes(2, from_hex(span.span_id)), bytes(3, span.state or ""),
    }
    if span.parent_id then
        out[#out + 1] = bytes(4, from_hex(span.parent_id))
    end
    out[#out + 1] = bytes(5, span.name)
    out[#out + 1] = whole(6, span.kind or SERVER)
    out[#out + 1] = moment(7, span.start_time)
    out[#out + 1] = moment(8, span.end_time)
    add_attributes(out, 9, span.attributes)
    add_attributes(out, 9, span.integers, true)
    if span.error then
        out[#out + 1] = bytes(15, bytes(2, span.error) .. whole(3, ERROR))
    end
    return concat(out)
end

-- A resource as encode() wants it. attributes: key, value, key, value, …
function _M.resource(attributes)
    local out = {}
    add_attributes(out, 1, attributes)
    return concat(out)
end

-- An ExportTraceServiceRequest. resource: see above; scope: a name; spans: array of {trace_id, span_id, parent_id
-- (hexadecimal), state, flags, name, start_time, end_time (seconds), attributes (flat, key and value by turns),
-- integers (the same, of whole numbers), error (a message, or nil), kind (of enum SpanKind, or nil: a server's)}.
function _M.encode(resource, scope, spans)
    local out = { bytes(1, bytes(1, scope)) }
    for i, span in ipairs(spans) do
        out[i + 1] = bytes(2, span_message(span))
    end
    return bytes(1, bytes(1, resource) .. bytes(2, concat(out)))
end

return _M
