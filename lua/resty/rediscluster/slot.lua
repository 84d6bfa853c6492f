-- Owns the hash slot of a key: CRC16 modulo 16384 of the key or of its hash tag (redis cluster specification,
-- "Key distribution model").
local bit = require "bit"

local band, bxor, lshift, rshift = bit.band, bit.bxor, bit.lshift, bit.rshift
local byte = string.byte
local find = string.find
local sub = string.sub

local SLOTS = 16384
local POLYNOMIAL = 0x1021 -- XMODEM

local crc_of = {}
for i = 0, 255 do
    local crc = lshift(i, 8)
    for _ = 1, 8 do
        local shifted = lshift(crc, 1)
        crc = band(band(crc, 0x8000) ~= 0 and bxor(shifted, POLYNOMIAL) or shifted, 0xFFFF)
    end
    crc_of[i] = crc
end

-- What stands between the first "{" and the first "}" after it, unless that is nothing.
local function hashed_part(key)
    local open = find(key, "{", 1, true)
    local close = open and find(key, "}", open + 1, true)
    if close and close > open + 1 then
        return sub(key, open + 1, close - 1)
    end
    return key
end

-- key: text. Returns 0 … 16383.
return function(key)
    key = hashed_part(key)
    local crc = 0
    for i = 1, #key do
        crc = bxor(band(lshift(crc, 8), 0xFFFF), crc_of[bxor(rshift(crc, 8), byte(key, i))])
    end
    return crc % SLOTS
end
