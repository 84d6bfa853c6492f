-- Owns the wire format of Protocol Buffers (version 3) for messages that are described by tables: as much of it as
-- core.pubsub needs. Values are as lua-protobuf gives them: an int64 beyond 32 bits is text, "#123".
-- Must never trust what it decodes.
--
-- A message is an array of fields {number, name, type}; type: "int32", "int64", "string", "bytes" or a message.
-- Further keys of a field: repeated; oneof, the name of the choice that it belongs to.
local bit = require "bit"
local ffi = require "ffi"

local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local byte = string.byte
local char = string.char
local concat = table.concat
local gsub = string.gsub
local ipairs = ipairs
local match = string.match
local sub = string.sub
local tonumber = tonumber
local tostring = tostring
local type = type

local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")
local VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
local MAX_VARINT = 10 -- bytes
local LEAST_NUMBER, MOST_NUMBER = int64(-0x80000000), int64(0xffffffff)

local function varint(value)
    local rest, out = uint64(value), {}
    repeat
        local low = tonumber(band(rest, 0x7f))
        rest = rshift(rest, 7)
        out[#out + 1] = char(rest == 0 and low or low + 0x80)
    until rest == 0
    return concat(out)
end

-- A number, an int64 or text such as "#-12" as an int64.
local function to_int64(value)
    if type(value) ~= "string" then
        return int64(value)
    end
    local sign, digits = match(value, "^#?(-?)(%d+)$")
    local sum = int64(0)
    for digit in (digits or ""):gmatch("%d") do
        sum = sum * 10 + tonumber(digit)
    end
    return sign == "-" and -sum or sum
end

local function from_int64(value)
    if value >= LEAST_NUMBER and value <= MOST_NUMBER then
        return tonumber(value)
    end
    return "#" .. gsub(tostring(value), "U?LL$", "")
end

local encode

local function encode_field(field, value, out)
    local number, kind = field[1], field[3]
    local delimited = kind == "string" or kind == "bytes" or type(kind) == "table"
    out[#out + 1] = varint(lshift(number, 3) + (delimited and DELIMITED or VARINT))
    if not delimited then
        out[#out + 1] = varint(to_int64(value))
        return
    end
    local text = type(kind) == "table" and encode(kind, value) or tostring(value)
    out[#out + 1] = varint(#text)
    out[#out + 1] = text
end

-- The bytes of value, a table of fields by name, as this message; what the message does not name is left out.
function encode(message, value)
    local out = {}
    for _, field in ipairs(message) do
        local one = value[field[2]]
        if field.repeated then
            for _, each in ipairs(one or {}) do
                encode_field(field, each, out)
            end
        elseif one ~= nil then
            encode_field(field, one, out)
        end
    end
    return concat(out)
end

-- Returns the unsigned number at position at, and the position after it; or nil.
local function read_varint(text, at)
    local value = uint64(0)
    for i = 0, MAX_VARINT - 1 do
        local b = byte(text, at + i)
        if not b then
            return nil
        end
        value = bor(value, lshift(uint64(band(b, 0x7f)), 7 * i))
        if b < 0x80 then
            return value, at + i + 1
        end
    end
    return nil
end

local function read_delimited(text, at)
    local size, from = read_varint(text, at)
    if not size or size > #text - from + 1 then
        return nil
    end
    local after = from + tonumber(size)
    return sub(text, from, after - 1), after
end

-- Returns the raw value of a field, and the position after it; or nil.
local function read_raw(text, at, wire)
    if wire == VARINT then
        return read_varint(text, at)
    elseif wire == DELIMITED then
        return read_delimited(text, at)
    end
    local size = wire == FIXED64 and 8 or wire == FIXED32 and 4
    if not size or at + size - 1 > #text then
        return nil
    end
    return sub(text, at, at + size - 1), at + size
end

local function new_value(message)
    local value = {}
    for _, field in ipairs(message) do
        local kind = field[3]
        if field.repeated then
            value[field[2]] = {}
        elseif not field.oneof and type(kind) ~= "table" then
            value[field[2]] = (kind == "string" or kind == "bytes") and "" or 0
        end
    end
    return value
end

local function find_field(message, number)
    for _, field in ipairs(message) do
        if field[1] == number then
            return field
        end
    end
    return nil
end

local decode

-- Returns what raw is as a field of this kind; or nil.
local function interpret(kind, raw, wire)
    if type(kind) == "table" then
        return wire == DELIMITED and decode(kind, raw) or nil
    elseif kind == "string" or kind == "bytes" then
        return wire == DELIMITED and raw or nil
    elseif wire ~= VARINT then
        return nil
    end
    return kind == "int32" and tonumber(ffi.cast("int32_t", raw)) or from_int64(ffi.cast(int64, raw))
end

local function put(value, field, one)
    local name = field[2]
    if field.repeated then
        value[name][#value[name] + 1] = one
        return
    end
    if field.oneof then
        local other = value[field.oneof]
        if other then
            value[other] = nil
        end
        value[field.oneof] = name
    end
    value[name] = one
end

-- The fields of a message by name, absent ones with their defaults; of a choice (oneof) the name of the field that is
-- there stands under the choice's own. Returns nil, err for what is no such message.
function decode(message, text)
    local value, at = new_value(message), 1
    while at <= #text do
        local tag, after = read_varint(text, at)
        if not tag then
            return nil, "invalid tag at byte " .. at
        end
        local wire = tonumber(band(tag, 7))
        local raw, next_at = read_raw(text, after, wire)
        if not raw then
            return nil, "invalid value at byte " .. after
        end
        local field = find_field(message, tonumber(rshift(tag, 3)))
        if field then
            local one = interpret(field[3], raw, wire)
            if one == nil then
                return nil, "field " .. field[2] .. " is not of its type"
            end
            put(value, field, one)
        end
        at = next_at
    end
    return value
end

return { encode = encode, decode = decode }
