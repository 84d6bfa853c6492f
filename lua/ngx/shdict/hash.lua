-- Owns the hash of keys: HalfSipHash-1-3, keyed, because who sends requests often chooses the keys and
-- could otherwise make them collide. Must never know where a hash is used.
local bit = require "bit"
local ffi = require "ffi"

local byte = string.byte
local band, bor, bxor, lshift, rol, rshift, tobit =
    bit.band, bit.bor, bit.bxor, bit.lshift, bit.rol, bit.rshift, bit.tobit
local cast = ffi.cast
local words_t = ffi.typeof("const int32_t *")
local bytes_t = ffi.typeof("const uint8_t *")

local function round(v0, v1, v2, v3)
    v0 = tobit(v0 + v1)
    v1 = bxor(rol(v1, 5), v0)
    v0 = rol(v0, 16)
    v2 = tobit(v2 + v3)
    v3 = bxor(rol(v3, 8), v2)
    v0 = tobit(v0 + v3)
    v3 = bxor(rol(v3, 7), v0)
    v2 = tobit(v2 + v1)
    v1 = bxor(rol(v1, 13), v2)
    v2 = rol(v2, 16)
    return v0, v1, v2, v3
end

-- The bytes after the last whole word, with the length above them.
local function last_word(key, length)
    local rest = band(length, 3)
    local word = lshift(length, 24)
    if rest == 0 then
        return word
    end
    if length > 3 then
        local end_word = cast(words_t, cast(bytes_t, key) + (length - 4))[0]
        return bor(word, rshift(end_word, 32 - rest * 8))
    end
    local first, second, third = byte(key, 1, 3)
    return bor(word, first, lshift(second or 0, 8), lshift(third or 0, 16))
end

local function finish(word, v0, v1, v2, v3)
    v3 = bxor(v3, word)
    v0, v1, v2, v3 = round(v0, v1, v2, v3)
    v0 = bxor(v0, word)
    v2 = bxor(v2, 0xff)
    v0, v1, v2, v3 = round(v0, v1, v2, v3)
    v0, v1, v2, v3 = round(v0, v1, v2, v3)
    local _
    _, v1, _, v3 = round(v0, v1, v2, v3)
    return bxor(v1, v3)
end

-- A tail call for each word: where it is compiled, keys of the usual lengths run straight through.
local function absorb(key, length, at, v0, v1, v2, v3)
    if at + 4 > length then
        return finish(last_word(key, length), v0, v1, v2, v3)
    end
    local word = cast(words_t, cast(bytes_t, key) + at)[0]
    v3 = bxor(v3, word)
    v0, v1, v2, v3 = round(v0, v1, v2, v3)
    return absorb(key, length, at + 4, bxor(v0, word), v1, v2, v3)
end

-- The hash of a string by the key (seed0, seed1), two 32-bit integers; returns a signed one.
return function(key, seed0, seed1)
    return absorb(key, #key, 0, seed0, seed1, bxor(0x6c796765, seed0), bxor(0x74656462, seed1))
end
