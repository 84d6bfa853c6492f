-- Owns the streaming digests that resty.md5, resty.sha1, … are instances of (openresty/lua-resty-string).
local ffi = require "ffi"
local argcheck = require "server.argcheck"
local crypto = require "ngx.api.libcrypto"

local check_integer, check_string = argcheck.check_integer, argcheck.check_string
local context_of = crypto.context_of
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
        local context = context_of(self, "_ctx")
        str = check_string(1, 2, str)
        len = len == nil and #str or check_integer(1, 3, len)
        if not (len >= 0 and len <= #str) then -- what lies behind it is not ours
            return false
        end
        return digest_update(context, str, len) == 1
    end

    -- The digest as bytes, or nil on failure. Then reset() before more is added.
    function _M.final(self)
        local context = context_of(self, "_ctx")
        if digest_final(context, out, out_len) ~= 1 then
            return nil
        end
        return ffi_string(out, out_len[0])
    end

    -- Begin again. Returns whether it worked.
    function _M.reset(self)
        local context = context_of(self, "_ctx")
        return digest_init(context, kind, nil) == 1
    end

    return _M
end
