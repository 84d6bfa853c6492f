-- Owns ngx.md5, md5_bin, sha1_bin, hmac_sha1, crc32_short and crc32_long.
local bit = require "bit"
local ffi = require "ffi"
local crypto = require "ngx.api.libcrypto"
local hexcodec = require "ngx.api.hexcodec"
local scratch = require "ngx.api.scratch"

local band, bxor, rshift = bit.band, bit.bxor, bit.rshift
local check_string = require("server.argcheck").check_string
local digest_final, digest_init, digest_update = crypto.digest_final, crypto.digest_init, crypto.digest_update
local encode_bytes = hexcodec.encode_bytes
local error = error
local ffi_string = ffi.string
local hmac_final, hmac_init, hmac_update = crypto.hmac_final, crypto.hmac_init, crypto.hmac_update
local select = select
local text = scratch.text

local out = ffi.new("uint8_t[64]")
local out_len = ffi.new("unsigned int[1]")

-- A function that leaves the digest of a string in `out` and returns its length. Its one context is
-- initialised again for every string, which is cheaper than looking the digest up each time.
local function digester(name)
    local ctx = crypto.new_digest()
    local kind = crypto.digest_type(name)
    return function(str)
        if digest_init(ctx, kind, nil) ~= 1 or digest_update(ctx, str, #str) ~= 1
                or digest_final(ctx, out, out_len) ~= 1 then
            error("libcrypto offers no " .. name .. " here", 3)
        end
        return out_len[0]
    end
end

local md5_out = digester("md5")
local sha1_out = digester("sha1")

-- ngx.md5(str) -> 32 hexadecimal digits
local function md5(str)
    return encode_bytes(out, md5_out(text(str)))
end

-- ngx.md5_bin(str) -> 16 bytes
local function md5_bin(str)
    return ffi_string(out, md5_out(text(str)))
end

-- ngx.sha1_bin(str) -> 20 bytes
local function sha1_bin(str)
    return ffi_string(out, sha1_out(text(str)))
end

local hmac_ctx = crypto.new_hmac()
local sha1_type = crypto.digest_type("sha1")

-- ngx.hmac_sha1(key, str) -> 20 bytes. Raises unless given two strings or numbers.
local function hmac_sha1(...)
    local n = select("#", ...)
    if n ~= 2 then
        error("expecting 2 arguments, but got " .. n, 2)
    end
    local key, str = ...
    key, str = check_string(1, 1, key), check_string(1, 2, str)
    if hmac_init(hmac_ctx, key, #key, sha1_type, nil) ~= 1 or hmac_update(hmac_ctx, str, #str) ~= 1
            or hmac_final(hmac_ctx, out, out_len) ~= 1 then
        error("libcrypto offers no HMAC-SHA1 here", 2)
    end
    return ffi_string(out, out_len[0])
end

-- The reflected CRC-32 (polynomial 0x04C11DB7) of each byte.
local crc_table = ffi.new("int32_t[256]")
for i = 0, 255 do
    local crc = i
    for _ = 1, 8 do
        crc = bxor(rshift(crc, 1), band(crc, 1) * 0xEDB88320)
    end
    crc_table[i] = crc
end

-- ngx.crc32_short(str), ngx.crc32_long(str) -> the checksum as a number from 0 to 2^32 - 1
local function crc32(str)
    str = text(str)
    local src = ffi.cast("const uint8_t *", str)
    local crc = -1
    for i = 0, #str - 1 do
        crc = bxor(rshift(crc, 8), crc_table[band(bxor(crc, src[i]), 255)])
    end
    return bxor(crc, -1) % 4294967296
end

return {
    md5 = md5,
    md5_bin = md5_bin,
    sha1_bin = sha1_bin,
    hmac_sha1 = hmac_sha1,
    crc32_short = crc32,
    crc32_long = crc32,
}
