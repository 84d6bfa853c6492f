-- Owns the module resty.hmac (jkeys089/lua-resty-hmac).
local ffi = require "ffi"
local argcheck = require "server.argcheck"
local crypto = require "ngx.api.libcrypto"
local hexcodec = require "ngx.api.hexcodec"

local check_string = argcheck.check_string
local context_of = crypto.context_of
local encode_bytes = hexcodec.encode_bytes
local ffi_string = ffi.string
local hmac_final, hmac_init, hmac_update = crypto.hmac_final, crypto.hmac_init, crypto.hmac_update
local setmetatable, type = setmetatable, type

local out = ffi.new("uint8_t[64]")
local out_len = ffi.new("unsigned int[1]")

local _M = { _VERSION = "0.06" }
local mt = { __index = _M }

_M.ALGOS = {
    MD5 = crypto.digest_type("md5"),
    SHA1 = crypto.digest_type("sha1"),
    SHA256 = crypto.digest_type("sha256"),
    SHA384 = crypto.digest_type("sha384"),
    SHA512 = crypto.digest_type("sha512"),
}

-- new(key, algo?): a new HMAC; algo is one of ALGOS, by default MD5. nil on failure.
function _M.new(self, key, algo)
    key = check_string(1, 2, key)
    if algo ~= nil and type(algo) ~= "cdata" then
        argcheck.fail(1, 3, "one of ALGOS expected, got " .. type(algo))
    end
    local ctx = crypto.new_hmac()
    if hmac_init(ctx, key, #key, algo or _M.ALGOS.MD5, nil) ~= 1 then
        return nil
    end
    return setmetatable({ _ctx = ctx }, mt)
end

-- update(str): add to the message. Returns whether it worked.
function _M.update(self, str)
    local context = context_of(self, "_ctx")
    str = check_string(1, 2, str)
    return hmac_update(context, str, #str) == 1
end

-- final(str?, hex?): the HMAC of what was added, str last; as bytes, or as hexadecimal digits if hex is
-- true. nil on failure.
function _M.final(self, str, hex)
    local context = context_of(self, "_ctx")
    if str ~= nil and not self:update(str) then
        return nil
    end
    if hmac_final(context, out, out_len) ~= 1 then
        return nil
    end
    if hex == true then
        return encode_bytes(out, out_len[0])
    end
    return ffi_string(out, out_len[0])
end

-- reset(): begin again with the same key. Returns whether it worked.
function _M.reset(self)
    local context = context_of(self, "_ctx")
    return hmac_init(context, nil, 0, nil, nil) == 1
end

return _M
