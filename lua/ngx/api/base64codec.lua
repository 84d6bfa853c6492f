-- Owns base64 in both directions for any alphabet, over FFI tables (RFC 4648; the tolerance of
-- ngx_decode_base64: reading stops at the first "=", unused low bits are not looked at).
local bit = require "bit"
local ffi = require "ffi"
local scratch = require "ngx.api.scratch"

local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local byte = string.byte
local ffi_cast = ffi.cast
local ffi_string = ffi.string
local take = scratch.take

local INVALID = 255
local EQUALS = byte("=")

local _M = {}

-- An alphabet of 64 characters -> {digit = uint8_t[64], value = uint8_t[256]}.
function _M.alphabet(characters)
    local digit = ffi.new("uint8_t[64]", { byte(characters, 1, 64) })
    local value = ffi.new("uint8_t[256]")
    ffi.fill(value, 256, INVALID)
    for i = 0, 63 do
        value[digit[i]] = i
    end
    return { digit = digit, value = value }
end

-- The last one or two bytes of the input, then the padding.
local function encode_tail(digit, src, i, left, dst, at, padding)
    local a, b = src[i], left == 2 and src[i + 1] or 0
    dst[at] = digit[rshift(a, 2)]
    dst[at + 1] = digit[bor(lshift(band(a, 3), 4), rshift(b, 4))]
    at = at + 2
    if left == 2 then
        dst[at] = digit[lshift(band(b, 15), 2)]
        at = at + 1
    end
    if padding then
        for _ = left, 2 do
            dst[at] = EQUALS
            at = at + 1
        end
    end
    return at
end

-- Encode str with the alphabet; padding: whether "=" fills up the last group.
function _M.encode(alphabet, str, padding)
    local digit, len = alphabet.digit, #str
    local src = ffi_cast("const uint8_t *", str)
    local dst = take(len * 2 + 4)
    local i, at = 0, 0
    while i + 2 < len do
        local a, b, c = src[i], src[i + 1], src[i + 2]
        dst[at] = digit[rshift(a, 2)]
        dst[at + 1] = digit[bor(lshift(band(a, 3), 4), rshift(b, 4))]
        dst[at + 2] = digit[bor(lshift(band(b, 15), 2), rshift(c, 6))]
        dst[at + 3] = digit[band(c, 63)]
        i, at = i + 3, at + 4
    end
    if i < len then
        at = encode_tail(digit, src, i, len - i, dst, at, padding)
    end
    return ffi_string(dst, at)
end

-- Decode the n digits (values 0-63) at src[0..n-1] into dst, which may be the same memory: a group
-- is written behind where it was read. Returns the number of bytes.
local function pack(src, n, dst)
    local i, at = 0, 0
    while i + 3 < n do
        local a, b, c, d = src[i], src[i + 1], src[i + 2], src[i + 3]
        dst[at] = bor(lshift(a, 2), rshift(b, 4))
        dst[at + 1] = band(bor(lshift(b, 4), rshift(c, 2)), 255)
        dst[at + 2] = band(bor(lshift(c, 6), d), 255)
        i, at = i + 4, at + 3
    end
    if n - i > 1 then
        local b, c = src[i + 1], n - i > 2 and src[i + 2] or nil
        dst[at] = bor(lshift(src[i], 2), rshift(b, 4))
        at = at + 1
        if c then
            dst[at] = band(bor(lshift(b, 4), rshift(c, 2)), 255)
            at = at + 1
        end
    end
    return at
end

-- Decode str; nil if it is malformed. lenient: characters outside the alphabet are skipped (MIME).
function _M.decode(alphabet, str, lenient)
    local value, len = alphabet.value, #str
    local src = ffi_cast("const uint8_t *", str)
    local dst = take(len + 1)
    local n = 0
    for i = 0, len - 1 do
        local c = src[i]
        if c == EQUALS then
            break
        end
        local v = value[c]
        if v ~= INVALID then
            dst[n] = v
            n = n + 1
        elseif not lenient then
            return nil
        end
    end
    if n % 4 == 1 then
        return nil
    end
    return ffi_string(dst, pack(dst, n, dst))
end

return _M
