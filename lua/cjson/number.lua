-- Owns the reading of numbers out of JSON text, lax ones (hexadecimal, infinity, NaN, leading zeros) included.
-- Must never decide what is not a number at all: its callers do, by the first byte.
--
-- Readers get bytes and an index from 0; they return the value and the index behind it, or nil, index, reason.
local ffi = require "ffi"
local bit = require "bit"

local ffi_string = ffi.string
local tonumber = tonumber
local ipairs = ipairs
local byte, find, match = string.byte, string.find, string.match
local bor = bit.bor

local PLUS, MINUS, DOT, ZERO, NINE = 43, 45, 46, 48, 57
local LETTER_E, LETTER_P, LETTER_X = 101, 112, 120
local STRTOD_WORDS = { "infinity", "inf", "nan" }
local EXACT, HUGE = 2 ^ 53, math.huge
local POWERS = ffi.new("double[23]")
for exponent = 0, 22 do
    POWERS[exponent] = 10 ^ exponent
end

local _M = {}

--- The value of a hexadecimal digit, or nil.
function _M.hex_digit(c)
    if c >= ZERO and c <= NINE then
        return c - ZERO
    end
    c = bor(c, 0x20)
    if c >= 97 and c <= 102 then
        return c - 87
    end
end

local hex_digit = _M.hex_digit

local function skip_digits(p, i, hex)
    while (p[i] >= ZERO and p[i] <= NINE) or (hex and hex_digit(p[i])) do
        i = i + 1
    end
    return i
end

-- Does `word` (lower case) stand at `i`, in any case?
local function has_word(p, i, word)
    for k = 1, #word do
        if bor(p[i + k - 1], 0x20) ~= word:byte(k) then
            return false
        end
    end
    return true
end

-- The index behind the longest text at `i` that C's strtod takes, or nil.
local function number_end(p, i)
    if p[i] == MINUS or p[i] == PLUS then
        i = i + 1
    end
    for _, word in ipairs(STRTOD_WORDS) do
        if has_word(p, i, word) then
            return i + #word
        end
    end
    local hex = p[i] == ZERO and bor(p[i + 1], 0x20) == LETTER_X
        and hex_digit(p[i + 2] == DOT and p[i + 3] or p[i + 2]) ~= nil
    local start = hex and i + 2 or i
    local stop = skip_digits(p, start, hex)
    local digits = stop - start
    if p[stop] == DOT then
        local after = skip_digits(p, stop + 1, hex)
        digits, stop = digits + after - stop - 1, after
    end
    if digits == 0 then
        return nil
    end
    if bor(p[stop], 0x20) == (hex and LETTER_P or LETTER_E) then
        local sign = (p[stop + 1] == MINUS or p[stop + 1] == PLUS) and 1 or 0
        local after = skip_digits(p, stop + 1 + sign)
        if after > stop + 1 + sign then
            stop = after
        end
    end
    return stop
end

-- tonumber refuses exponents beyond about a million, where strtod says zero or infinity.
local function with_huge_exponent(text)
    local mantissa, sign = match(text, "^%-?0?[xX]?(.-)[eEpP]([+-]?)%d+$")
    local value = (sign == "-" or not find(mantissa, "[1-9a-fA-F]")) and 0 or HUGE
    return byte(text) == MINUS and -value or value
end

--- Read what C's strtod would take at `i`.
function _M.read_any(p, i)
    local stop = number_end(p, i)
    if not stop then
        return nil, i, "invalid number"
    end
    local start = p[i] == PLUS and i + 1 or i
    local text = ffi_string(p + start, stop - start)
    return tonumber(text) or with_huge_exponent(text), stop
end

--- Is it what strtod takes and strict JSON does not ("-" and the like are for read to judge)?
function _M.is_lax(p, i)
    if p[i] == PLUS then
        return true
    end
    local k = p[i] == MINUS and i + 1 or i
    if p[k] == ZERO then
        return bor(p[k + 1], 0x20) == LETTER_X or (p[k + 1] >= ZERO and p[k + 1] <= NINE)
    end
    return has_word(p, k, "inf") or has_word(p, k, "nan")
end

-- Append the digits at `k` to `mantissa`; returns it and the index behind them.
local function add_digits(p, k, mantissa)
    local c = p[k]
    while c >= ZERO and c <= NINE do
        mantissa = mantissa * 10 + (c - ZERO)
        k = k + 1
        c = p[k]
    end
    return mantissa, k
end

--- Read a number that begins with a digit or a minus sign.
-- Up to 2^53 and 22 decimals are computed at once, which is exact (Clinger 1990); the rest goes through tonumber.
function _M.read(p, i, lax)
    if not lax and _M.is_lax(p, i) then
        return nil, i, "invalid number"
    end
    local start = p[i] == MINUS and i + 1 or i
    local mantissa, stop = add_digits(p, start, 0)
    local point = stop
    if stop == start then
        return _M.read_any(p, i)
    elseif p[stop] == DOT then
        mantissa, stop = add_digits(p, stop + 1, mantissa)
    end
    local decimals = stop > point and stop - point - 1 or 0
    local marker = bor(p[stop], 0x20)
    if mantissa >= EXACT or decimals > 22 or marker == LETTER_E or marker == LETTER_X then
        return _M.read_any(p, i)
    elseif stop > point then
        mantissa = mantissa / POWERS[decimals]
        return start == i and mantissa or -mantissa, stop
    end
    return start == i and mantissa or 0 - mantissa, stop  -- "-0" is an integer, so 0
end

return _M
