-- Owns the module resty.openssl.kdf: keys made of passwords and of other keys (fffonion/lua-resty-openssl).
local ffi = require "ffi"
local C = require "resty.openssl.library"
local algorithms = require "resty.openssl.algorithms"
local format_error = require("resty.openssl.err").format_error
local params = require "resty.openssl.params"

local ffi_gc, ffi_new, ffi_string, istype = ffi.gc, ffi.new, ffi.string, ffi.istype
local next, pairs, setmetatable, tonumber, tostring, type = next, pairs, setmetatable, tonumber, tostring, type

local CONTEXT = ffi.typeof("struct evp_kdf_ctx_st *")
local ANY_SIZE = 2 ^ 63 -- larger than any fixed size: SIZE_MAX says that there is none

local _M = {
    HKDEF_MODE_EXTRACT_AND_EXPAND = 0, HKDEF_MODE_EXTRACT_ONLY = 1, HKDEF_MODE_EXPAND_ONLY = 2,
    PBKDF2 = C.OBJ_txt2nid("PBKDF2"), SCRYPT = C.OBJ_txt2nid("id-scrypt"),
    TLS1_PRF = C.OBJ_txt2nid("TLS1-PRF"), HKDF = C.OBJ_txt2nid("HKDF"),
}
local metatable = { __index = _M }

-- name: "HKDF", "PBKDF2", "SCRYPT", "TLS1-PRF", … Returns a function to derive keys with, or nil and an error.
function _M.new(name, properties)
    local algo = algorithms.fetch("EVP_KDF", name, properties)
    if not algo then
        return nil, format_error('mac.new: invalid mac type "' .. tostring(name) .. '"')
    end
    local ctx = C.EVP_KDF_CTX_new(algo)
    if ctx == nil then
        return nil, "mac.new: failed to create EVP_MAC_CTX"
    end
    ffi_gc(ctx, C.EVP_KDF_CTX_free)
    local size = tonumber(C.EVP_KDF_CTX_get_kdf_size(ctx))
    return setmetatable({ ctx = ctx, algo = algo, buf_size = size < ANY_SIZE and size or nil }, metatable)
end

function _M.istype(value)
    return type(value) == "table" and istype(CONTEXT, value.ctx)
end

function _M:get_provider_name()
    return algorithms.provider_name("EVP_KDF", self.algo)
end

-- OpenSSL's names of what the options of the first form of derive() say, by kind.
local OPTIONS = {
    [_M.PBKDF2] = { name = "PBKDF2", pass = "pass", salt = "salt", md = "digest", pbkdf2_iter = "iter" },
    [_M.HKDF] = {
        name = "HKDF", salt = "salt", md = "digest", hkdf_key = "key", hkdf_mode = "mode", hkdf_info = "info",
    },
    [_M.TLS1_PRF] = { name = "TLS1-PRF", md = "digest", tls1_prf_secret = "secret", tls1_prf_seed = "seed" },
    [_M.SCRYPT] = {
        name = "SCRYPT", pass = "pass", salt = "salt", scrypt_N = "n", scrypt_r = "r", scrypt_p = "p",
        scrypt_maxmem = "maxmem_bytes",
    },
}

local REQUIRED = {
    [_M.PBKDF2] = {}, [_M.HKDF] = { "hkdf_key" }, [_M.TLS1_PRF] = { "tls1_prf_secret", "tls1_prf_seed" },
    [_M.SCRYPT] = { "scrypt_N", "scrypt_r", "scrypt_p" },
}

-- What is missing in the options of that kind, or nil.
local function missing(kind, options)
    if not options.outlen then
        return '"outlen" must be set'
    end
    for _, field in pairs(REQUIRED[kind]) do
        if not options[field] then
            return '"' .. field .. '" must be set'
        end
    end
    local mode = options.hkdf_mode or _M.HKDEF_MODE_EXTRACT_AND_EXPAND
    if kind ~= _M.HKDF then
        return nil
    elseif mode == _M.HKDEF_MODE_EXTRACT_AND_EXPAND and not (options.salt and options.hkdf_info) then
        return '""salt" and "hkdf_info" are required for EXTRACT_AND_EXPAND mode'
    elseif mode == _M.HKDEF_MODE_EXTRACT_ONLY and not options.salt then
        return '"salt" is required for EXTRACT_ONLY mode'
    end
    return nil
end

local function digest_size(name)
    local md = algorithms.fetch("EVP_MD", name)
    return md and C.EVP_MD_get_size(md)
end

-- options: {type = PBKDF2 | …, outlen, pass, salt, md, pbkdf2_iter, hkdf_…, tls1_prf_…, scrypt_…}
local function derive_by_options(options)
    local kind = options.type
    if type(kind) ~= "number" then
        return nil, "kdf.derive: " .. (kind and 'expect a number as "type"' or '"type" must be set')
    elseif not OPTIONS[kind] then
        return nil, "kdf.derive: unknown type " .. kind
    end
    local reason = missing(kind, options)
    if reason then
        return nil, "kdf.derive: " .. reason
    end
    local values, size = {}, options.outlen
    for field, name in pairs(OPTIONS[kind]) do
        if field ~= "name" then
            values[name] = options[field]
        end
    end
    if kind ~= _M.SCRYPT then
        values.digest = options.md or "sha1"
        local fixed = digest_size(values.digest)
        if not fixed then
            C.ERR_clear_error()
            return nil, 'kdf.derive: invalid digest type "' .. values.digest .. '"'
        elseif values.mode == _M.HKDEF_MODE_EXTRACT_ONLY then
            size = fixed
        end
    end
    if tonumber(values.maxmem_bytes) == 0 then
        values.maxmem_bytes = nil -- OpenSSL's own bound
    end
    if kind == _M.PBKDF2 then
        values.iter = values.iter and tonumber(values.iter) or 1
        values.pkcs5 = 1 -- no lower bounds on salt and rounds
    end
    return _M.new(OPTIONS[kind].name):derive(size, values)
end

-- kdf:derive(size, values): values by OpenSSL's names ("digest", "key", "salt", "info", "pass", "iter", …).
-- kdf.derive(options): the older form. Returns bytes, or nil and an error.
function _M.derive(self, size, values)
    if not _M.istype(self) then
        return derive_by_options(self)
    elseif self.buf_size and size then
        return nil, "kdf:derive: this KDF has fixed output size " .. self.buf_size .. ", it can't be set manually"
    end
    size = self.buf_size or size
    local list, err
    if values and next(values) then
        list, err = params.build(values, params.kinds_of(C.EVP_KDF_CTX_settable_params(self.ctx)))
        if not list then
            return nil, "kdf:derive: " .. err
        end
    end
    local buffer = ffi_new("unsigned char[?]", size)
    if C.EVP_KDF_derive(self.ctx, buffer, size, list) ~= 1 then
        return nil, format_error("kdf:derive")
    end
    return ffi_string(buffer, size)
end

-- Forget what was derived from. Always true.
function _M:reset()
    C.EVP_KDF_CTX_reset(self.ctx)
    return true
end

return _M
