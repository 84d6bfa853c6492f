-- Owns the reading of single JSON tokens out of bytes: strings, numbers, literals, white space.
-- Must never build tables nor raise: what is wrong is returned as nil, index (from 0), reason.
--
-- The text is read as a C string, as lua-cjson does: a zero byte is its end. Every reader gets the bytes `p`,
-- an index `i` from 0 and, where it needs it, the length `len`, and returns the value and the index behind it.
local ffi = require "ffi"
local bit = require "bit"
local buffer = require "string.buffer"
local marks = require "cjson.marks"
local number = require "cjson.number"

local C = ffi.C
local cast = ffi.cast
local ffi_string = ffi.string
local tonumber = tonumber
local type = type
local byte, char, find, upper = string.byte, string.char, string.find, string.upper
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift

-- Parameter names are left out and the type is the standard's, so that a second declaration elsewhere is no error.
ffi.cdef "void *memchr(const void *, int, size_t);"

local bytes = ffi.typeof("const uint8_t *")
local QUOTE, BACKSLASH, SLASH, STAR, MINUS, NEWLINE = 34, 92, 47, 42, 45, 10
local ZERO, NINE = 48, 57
local hex_digit = number.hex_digit

local ESCAPES = {
    [QUOTE] = '"', [BACKSLASH] = "\\", [SLASH] = "/",
    [98] = "\b", [102] = "\f", [110] = "\n", [114] = "\r", [116] = "\t",
}
local LETTER_U = 117

local TOKEN_NAMES = {
    [123] = "T_OBJ_BEGIN", [125] = "T_OBJ_END", [91] = "T_ARR_BEGIN", [93] = "T_ARR_END",
    [58] = "T_COLON", [44] = "T_COMMA", [0] = "T_END",
}

local _M = {}

--- The text as bytes and the number of bytes before its end (its first zero byte, or its length).
function _M.open(text)
    local p = cast(bytes, text)
    local zero = C.memchr(p, 0, #text)
    if zero == nil then
        return p, #text
    end
    return p, tonumber(cast(bytes, zero) - p)
end

--- The index of the first byte that is not white space.
function _M.skip_space(p, i)
    local c = p[i]
    while c == 32 or c == NEWLINE or c == 13 or c == 9 do
        i = i + 1
        c = p[i]
    end
    return i
end

local function skip_comment(p, i)
    if p[i + 1] == SLASH then
        while p[i] ~= 0 and p[i] ~= NEWLINE do
            i = i + 1
        end
        return i
    end
    i = i + 2
    while p[i] ~= 0 do
        if p[i] == STAR and p[i + 1] == SLASH then
            return i + 2
        end
        i = i + 1
    end
    return nil, i, "unclosed multi-line comment"
end

--- As skip_space, and over // and /* */ comments too.
function _M.skip_comments(p, i)
    while true do
        i = _M.skip_space(p, i)
        if p[i] ~= SLASH or (p[i + 1] ~= SLASH and p[i + 1] ~= STAR) then
            return i
        end
        local next_i, at, reason = skip_comment(p, i)
        if not next_i then
            return nil, at, reason
        end
        i = next_i
    end
end

local function hex4(p, i)
    local unit = 0
    for k = i, i + 3 do
        local digit = hex_digit(p[k])
        if not digit then
            return nil
        end
        unit = lshift(unit, 4) + digit
    end
    return unit
end

local function utf8(codepoint)
    if codepoint <= 0x7F then
        return char(codepoint)
    elseif codepoint <= 0x7FF then
        return char(bor(rshift(codepoint, 6), 0xC0), bor(band(codepoint, 0x3F), 0x80))
    elseif codepoint <= 0xFFFF then
        return char(bor(rshift(codepoint, 12), 0xE0), bor(band(rshift(codepoint, 6), 0x3F), 0x80),
                    bor(band(codepoint, 0x3F), 0x80))
    end
    return char(bor(rshift(codepoint, 18), 0xF0), bor(band(rshift(codepoint, 12), 0x3F), 0x80),
                bor(band(rshift(codepoint, 6), 0x3F), 0x80), bor(band(codepoint, 0x3F), 0x80))
end

-- `i` is at the backslash of \uXXXX; returns the character and the index behind the escape (or pair of escapes).
local function unicode_escape(p, i)
    local unit = hex4(p, i + 2)
    if not unit then
        return nil
    end
    if band(unit, 0xF800) ~= 0xD800 then
        return utf8(unit), i + 6
    end
    if band(unit, 0x400) ~= 0 or p[i + 6] ~= BACKSLASH or p[i + 7] ~= LETTER_U then
        return nil
    end
    local low = hex4(p, i + 8)
    if not low or band(low, 0xFC00) ~= 0xDC00 then
        return nil
    end
    return utf8(bor(lshift(band(unit, 0x3FF), 10), band(low, 0x3FF)) + 0x10000), i + 12
end

-- Borrowed while a string is unescaped: a finaliser that decodes in between finds none and makes its own.
local spare

local function read_escaped(p, i)
    local out = spare or buffer.new()
    spare = nil
    out:reset()
    local start, c = i, p[i]
    while c ~= QUOTE do
        if c == 0 then
            return nil, i, "unexpected end of string"
        elseif c == BACKSLASH then
            out:putcdata(p + start, i - start)
            local escape = p[i + 1]
            local text, next_i = ESCAPES[escape], i + 2
            if escape == LETTER_U then
                text, next_i = unicode_escape(p, i)
            end
            if not text then
                return nil, i, escape == LETTER_U and "invalid unicode escape code" or "invalid escape code"
            end
            out:put(text)
            i, start = next_i, next_i
        else
            i = i + 1
        end
        c = p[i]
    end
    out:putcdata(p + start, i - start)
    local value = out:get()
    spare = out
    return value, i + 1
end

--- Read a string; `i` is at its opening quote.
function _M.read_string(p, i, len)
    i = i + 1
    local quote = C.memchr(p + i, QUOTE, len - i)
    if quote == nil then
        return read_escaped(p, i)
    end
    local n = tonumber(cast(bytes, quote) - p) - i
    if C.memchr(p + i, BACKSLASH, n) ~= nil then
        return read_escaped(p, i)
    end
    return ffi_string(p + i, n), i + n + 1
end

local function starts_with(p, i, word)
    for k = 1, #word do
        if p[i + k - 1] ~= byte(word, k) then
            return false
        end
    end
    return true
end

--- Read a number or a literal. `lax`: numbers that strict JSON does not know are taken too.
function _M.read_scalar(p, i, lax)
    local c = p[i]
    if (c >= ZERO and c <= NINE) or c == MINUS then
        return number.read(p, i, lax)
    elseif starts_with(p, i, "true") then
        return true, i + 4
    elseif starts_with(p, i, "false") then
        return false, i + 5
    elseif starts_with(p, i, "null") then
        return marks.null, i + 4
    elseif lax and number.is_lax(p, i) then
        return number.read_any(p, i)
    end
    return nil, i, "invalid token"
end

local function number_name(p, i, stop)
    local text = ffi_string(p + i, stop - i)
    return find(text, "^[+-]?%d+$") and "T_INTEGER" or "T_NUMBER"
end

--- What stands at `i`, for a message about an unexpected token: its name or what is wrong with it, and where.
function _M.describe(p, i, len, lax)
    local c = p[i]
    if TOKEN_NAMES[c] then
        return TOKEN_NAMES[c], i
    end
    local value, at, reason
    if c == QUOTE then
        value, at, reason = _M.read_string(p, i, len)
    else
        value, at, reason = _M.read_scalar(p, i, lax)
    end
    if reason then
        return reason, at
    elseif value == marks.null then
        return "T_NULL", i
    elseif type(value) == "number" then
        return number_name(p, i, at), i
    end
    return "T_" .. upper(type(value)), i
end

return _M
