-- Owns what generated validators call at run time: kinds of tables, equality, lengths of strings, copies.
-- Must never know of schemas.
local ffi = require "ffi"

local type = type
local next = next
local pairs = pairs
local abs, floor, max = math.abs, math.floor, math.max
local cast = ffi.cast

local bytes = ffi.typeof("const uint8_t *")

local _M = {}

local function count(t)
    local n = 0
    for _ in next, t do
        n = n + 1
    end
    return n
end

--- What JSON would call a table: 0 an object, 1 empty (so either), 2 an array.
function _M.kind(t)
    local length = #t
    if length == 0 then
        return next(t) == nil and 1 or 0
    end
    return count(t) == length and 2 or 0
end

-- `seen` maps tables being compared to their counterparts, so that cycles end.
local function equal_tables(a, b, seen)
    if seen[a] then
        return seen[a] == b
    end
    seen[a] = b
    for key, value in pairs(a) do
        local other = b[key]
        if type(value) == "table" and type(other) == "table" then
            if not equal_tables(value, other, seen) then
                return false
            end
        elseif value ~= other then
            return false
        end
    end
    for key in pairs(b) do
        if a[key] == nil then
            return false
        end
    end
    return true
end

--- Deep equality.
function _M.equal(a, b)
    if type(a) ~= "table" or type(b) ~= "table" then
        return a == b
    end
    return equal_tables(a, b, {})
end

--- The first two positions that hold equal items, or nil.
function _M.duplicates(list)
    local positions, tables = {}, {}
    for i = 1, #list do
        local item = list[i]
        if type(item) == "table" then
            tables[#tables + 1] = i
        elseif positions[item] then
            return positions[item], i
        elseif item == item then  -- NaN, which equals nothing, is no key
            positions[item] = i
        end
    end
    for i = 1, #tables do
        for j = i + 1, #tables do
            if _M.equal(list[tables[i]], list[tables[j]]) then
                return tables[i], tables[j]
            end
        end
    end
end

local function is_continuation(byte, low, high)
    return byte >= low and byte <= high
end

-- The number of bytes of the character at `i`; a byte that begins no valid character is one by itself (RFC 3629).
local function character_size(p, i, length)
    local first = p[i]
    local size, low, high = 1, 0x80, 0xBF
    if first >= 0xC2 and first <= 0xDF then
        size = 2
    elseif first >= 0xE0 and first <= 0xEF then
        size = 3
        low = first == 0xE0 and 0xA0 or low
        high = first == 0xED and 0x9F or high
    elseif first >= 0xF0 and first <= 0xF4 then
        size = 4
        low = first == 0xF0 and 0x90 or low
        high = first == 0xF4 and 0x8F or high
    end
    if i + size > length or (size > 1 and not is_continuation(p[i + 1], low, high)) then
        return 1
    end
    for k = i + 2, i + size - 1 do
        if not is_continuation(p[k], 0x80, 0xBF) then
            return 1
        end
    end
    return size
end

--- The length of `text` in characters.
function _M.utf8_length(text)
    local p, length = cast(bytes, text), #text
    local i, characters = 0, 0
    while i < length do
        i = i + (p[i] < 0x80 and 1 or character_size(p, i, length))
        characters = characters + 1
    end
    return characters
end

--- A deep copy of a default. What is not a table is shared.
function _M.copy(value)
    if type(value) ~= "table" then
        return value
    end
    local copied = {}
    for key, inner in pairs(value) do
        copied[key] = _M.copy(inner)
    end
    return copied
end

--- Is `value` so near a multiple of `factor` as doubles can tell?
function _M.is_multiple(value, factor)
    local quotient = value / factor
    local rounded = floor(quotient + 0.5)
    return abs(quotient - rounded) <= 1e-12 * max(abs(rounded), rounded == 0 and 1 or 0)
end

return _M
