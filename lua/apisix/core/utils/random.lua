-- Owns random identifiers, from the kernel's generator. Part of apisix.core.utils and apisix.core.id.
local bit = require "bit"
local ffi = require "ffi"

local ngx = ngx
local C = ffi.C
local band, bor, rshift = bit.band, bit.bor, bit.rshift
local error = error
local floor = math.floor
local format = string.format
local open = io.open

pcall(ffi.cdef, "ptrdiff_t getrandom(void *buf, size_t count, unsigned int flags);")

local bytes = ffi.new("uint8_t[16]")

local _M = {}

local function fill(count)
    if C.getrandom(bytes, count, 0) ~= count then
        error("getrandom() gave no random bytes")
    end
end

-- A number made of 8 bytes of /dev/urandom, for math.randomseed. Returns it, or nil, err.
function _M.get_seed_from_urandom()
    local file, err = open("/dev/urandom", "rb")
    if not file then
        return nil, "failed to open /dev/urandom: " .. err
    end
    local data = file:read(8)
    file:close()
    if not data then
        return nil, "failed to read data from /dev/urandom"
    end
    local seed = 0
    for i = 1, #data do
        seed = seed * 256 + data:byte(i)
    end
    return seed
end

-- RFC 9562, version 4.
function _M.uuid_v4()
    fill(16)
    local b = bytes
    return format(
        "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
        b[0], b[1], b[2], b[3], b[4], b[5],
        bor(0x40, band(b[6], 0x0f)), b[7], bor(0x80, band(b[8], 0x3f)), b[9],
        b[10], b[11], b[12], b[13], b[14], b[15]
    )
end

-- Version 7 orders the identifiers of one worker: within a millisecond an 18-bit counter (12 bits in
-- rand_a, 6 in rand_b) counts up, before 56 random bits that are drawn once per millisecond.
local MAX_COUNT = 0x3ffff
local last_ms, count, tail = 0, 0, ""

local function begin_millisecond(ms)
    last_ms, count = ms, 0
    fill(7)
    local b = bytes
    tail = format("%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5], b[6])
end

-- A clock that stands, or goes back, borrows from the millisecond after the last one.
local function advance()
    local ms = floor(ngx.now() * 1000)
    if ms <= last_ms and count == MAX_COUNT then
        ngx.update_time()
        ms = floor(ngx.now() * 1000)
        if ms <= last_ms then
            ms = last_ms + 1
        end
    end
    if ms > last_ms then
        begin_millisecond(ms)
    else
        count = count + 1
    end
end

-- RFC 9562, version 7: later ones of a worker sort after earlier ones.
function _M.generate_uuid_v7()
    advance()
    return format(
        "%08x-%04x-%04x-%02x%s",
        floor(last_ms / 0x10000), last_ms % 0x10000,
        bor(0x7000, rshift(count, 6)), bor(0x80, band(count, 0x3f)), tail
    )
end

return _M
