-- Owns the module resty.openssl.auxiliary.ecdsa: the two forms of ECDSA signatures, DER and JOSE's r and s one after
-- the other (fffonion/lua-resty-openssl). size: bytes of r, and of s.
local ffi = require "ffi"
local C = require "resty.openssl.pkey.library"
local base = require "resty.openssl.library"
local format_error = require("resty.openssl.err").format_error

local cast, ffi_gc, ffi_new, ffi_string = ffi.cast, ffi.gc, ffi.new, ffi.string

local _M = {}

-- Returns r and s, or nil and an error.
function _M.sig_der2raw(der, size)
    local source = ffi_new("const unsigned char *[1]", cast("const unsigned char *", der))
    local signature = C.d2i_ECDSA_SIG(nil, source, #der)
    if signature == nil then
        return nil, format_error("failed to parse ECDSA signature: d2i_ECDSA_SIG")
    end
    ffi_gc(signature, C.ECDSA_SIG_free)
    local r, s = ffi_new("const struct bignum_st *[1]"), ffi_new("const struct bignum_st *[1]")
    C.ECDSA_SIG_get0(signature, r, s)
    local buffer = ffi_new("unsigned char[?]", 2 * size)
    if base.BN_bn2binpad(r[0], buffer, size) < 0 or base.BN_bn2binpad(s[0], buffer + size, size) < 0 then
        return nil, format_error("failed to parse r or s to binary")
    end
    return ffi_string(buffer, 2 * size)
end

-- Returns the DER form, or nil and an error.
function _M.sig_raw2der(raw, size)
    if #raw ~= 2 * size then
        return nil, "invalid signature length, expect " .. 2 * size .. " but got " .. #raw
    end
    local signature = ffi_gc(C.ECDSA_SIG_new(), C.ECDSA_SIG_free)
    local bytes = cast("const char *", raw)
    C.ECDSA_SIG_set0(signature, base.BN_bin2bn(bytes, size, nil), base.BN_bin2bn(bytes + size, size, nil))
    local length = C.i2d_ECDSA_SIG(signature, nil)
    if length <= 0 then
        return nil, format_error("failed to get ECDSA signature size")
    end
    local buffer = ffi_new("unsigned char[?]", length)
    C.i2d_ECDSA_SIG(signature, ffi_new("unsigned char *[1]", buffer))
    return ffi_string(buffer, length)
end

return _M
