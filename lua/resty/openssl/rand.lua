-- Owns the module resty.openssl.rand: random bytes (fffonion/lua-resty-openssl).
local ffi = require "ffi"
local C = require "resty.openssl.library"
local format_error = require("resty.openssl.err").format_error

local ffi_new, ffi_string, type = ffi.new, ffi.string, type

local _M = {}

-- count bytes. private: from the generator for secrets that are never shown; strength: bits, or nil. Returns them, or
-- nil and an error.
function _M.bytes(count, private, strength)
    if type(count) ~= "number" then
        return nil, "rand.bytes: expect a number at #1"
    elseif strength and type(strength) ~= "number" then
        return nil, "rand.bytes: expect a number at #3"
    end
    local buffer = ffi_new("unsigned char[?]", count)
    local fill = private and C.RAND_priv_bytes_ex or C.RAND_bytes_ex
    local code = fill(nil, buffer, count, strength or 0)
    if code ~= 1 then
        return nil, format_error("rand.bytes", code)
    end
    return ffi_string(buffer, count)
end

return _M
