-- Owns KSUIDs: identifiers of 27 characters that sort by the second they were made in.
-- A KSUID is 20 bytes -- seconds since 1400000000 Unix time (32 bits, big endian), 16 random bytes -- written
-- as a number to base 62, zero-padded. Format: segmentio/ksuid.
local clock = require "server.clock"
local random = require "resty.random"

local assert = assert
local byte, floor, sub = string.byte, math.floor, string.sub
local concat = table.concat

local EPOCH = 1400000000
local DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
local LENGTH, BASE, RADIX = 27, 62, 2 ^ 32

-- A number given as 32-bit words, most significant first, to base 62. The words are used up.
local function base62(words)
    local digits = {}
    for place = LENGTH, 1, -1 do
        local remainder = 0
        for i = 1, #words do
            local value = remainder * RADIX + words[i]
            words[i] = floor(value / BASE)
            remainder = value % BASE
        end
        digits[place] = sub(DIGITS, remainder + 1, remainder + 1)
    end
    return concat(digits)
end

local function word(bytes, at)
    local a, b, c, d = byte(bytes, at, at + 3)
    return ((a * 256 + b) * 256 + c) * 256 + d
end

local _M = {}

-- A new KSUID.
function _M.generate()
    local bytes = assert(random.bytes(16), "no random bytes")
    local seconds = floor(clock.now()) - EPOCH
    return base62({ seconds % RADIX, word(bytes, 1), word(bytes, 5), word(bytes, 9), word(bytes, 13) })
end

return _M
