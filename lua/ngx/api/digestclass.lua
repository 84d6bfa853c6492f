-- Owns the streaming digests that resty.md5, resty.sha1, … are instances of (openresty/lua-resty-string).
local ffi = require "ffi"
local crypto = require "ngx.api.libcrypto"

local error = error
local ffi_string = ffi.string
local digest_final, digest_init, digest_update = crypto.digest_final, crypto.digest_init, crypto.digest_update
local setmetatable = setmetatable

local MAX_DIGEST = 64

local out = ffi.new("uint8_t[?]", MAX_DIGEST)
local out_len = ffi.new("unsigned int[1]")

-- A class for the digest of that OpenSSL name. Raises if this libcrypto does not have it.
return function(name)
    local kind = crypto.digest_type(name) or error("libcrypto offers no " .. name .. " here")
    local _M = { _VERSION = "0.17" }
    local mt = { __index = _M }

    -- A new digest, or nil if libcrypto refuses it.
    function _M.new(self)
        local ctx = crypto.new_digest()
        if digest_init(ctx, kind, nil) ~= 1 then
            return nil
        end
        return setmetatable({ _ctx = ctx }, mt)
    end

    -- Add the first len bytes of str (default: all). Returns whether it worked.
    function _M.update(self, str, len)
        return digest_update(self._ctx, str, len or #str) == 1
    end

    -- The digest as bytes, or nil on failure. Then reset() before more is added.
    function _M.final(self)
        if digest_final(self._ctx, out, out_len) ~= 1 then
            return nil
        end
        return ffi_string(out, out_len[0])
    end

    -- Begin again. Returns whether it worked.
    function _M.reset(self)
        return digest_init(self._ctx, kind, nil) == 1
    end

    return _M
end
