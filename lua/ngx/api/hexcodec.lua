-- Owns hexadecimal text. Must never hold a string.
local bit = require "bit"
local ffi = require "ffi"
local scratch = require "ngx.api.scratch"

local band, rshift = bit.band, bit.rshift
local ffi_string = ffi.string
local take = scratch.take

local DIGITS = "0123456789abcdef"
local digit = ffi.new("uint8_t[16]", { DIGITS:byte(1, 16) })

local _M = {}

-- len bytes at src (uint8_t *) -> 2 * len lower-case hexadecimal digits. src is not the scratch buffer.
function _M.encode_bytes(src, len)
    local dst = take(2 * len)
    for i = 0, len - 1 do
        dst[2 * i] = digit[rshift(src[i], 4)]
        dst[2 * i + 1] = digit[band(src[i], 15)]
    end
    return ffi_string(dst, 2 * len)
end

-- A string -> its lower-case hexadecimal digits.
function _M.encode(str)
    return _M.encode_bytes(ffi.cast("const uint8_t *", str), #str)
end

return _M
