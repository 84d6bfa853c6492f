-- Owns the module resty.openssl.x509.store: certificates that are trusted, and whether one follows from them
-- (fffonion/lua-resty-openssl).
local ffi = require "ffi"
local bit = require "bit"
local C = require "resty.openssl.x509.library"
local base = require "resty.openssl.library"
local chains = require "resty.openssl.x509.chain"
local errors = require "resty.openssl.err"
local x509 = require "resty.openssl.x509"

local bor = bit.bor
local ffi_gc, ffi_string, istype = ffi.gc, ffi.string, ffi.istype
local select, setmetatable, tonumber, tostring, type = select, setmetatable, tonumber, tostring, type

local STORE = ffi.typeof("struct x509_store_st *")

local _M = {
    -- of X509_VERIFY_PARAM_set_flags(3)
    verify_flags = {
        X509_V_FLAG_CB_ISSUER_CHECK = 0x0, X509_V_FLAG_USE_CHECK_TIME = 0x2, X509_V_FLAG_CRL_CHECK = 0x4,
        X509_V_FLAG_CRL_CHECK_ALL = 0x8, X509_V_FLAG_IGNORE_CRITICAL = 0x10, X509_V_FLAG_X509_STRICT = 0x20,
        X509_V_FLAG_ALLOW_PROXY_CERTS = 0x40, X509_V_FLAG_POLICY_CHECK = 0x80, X509_V_FLAG_EXPLICIT_POLICY = 0x100,
        X509_V_FLAG_INHIBIT_ANY = 0x200, X509_V_FLAG_INHIBIT_MAP = 0x400, X509_V_FLAG_NOTIFY_POLICY = 0x800,
        X509_V_FLAG_EXTENDED_CRL_SUPPORT = 0x1000, X509_V_FLAG_USE_DELTAS = 0x2000,
        X509_V_FLAG_CHECK_SS_SIGNATURE = 0x4000, X509_V_FLAG_TRUSTED_FIRST = 0x8000,
        X509_V_FLAG_SUITEB_128_LOS_ONLY = 0x10000, X509_V_FLAG_SUITEB_192_LOS = 0x20000,
        X509_V_FLAG_SUITEB_128_LOS = 0x30000, X509_V_FLAG_PARTIAL_CHAIN = 0x80000,
        X509_V_FLAG_NO_ALT_CHAINS = 0x100000, X509_V_FLAG_NO_CHECK_TIME = 0x200000,
    },
}
local metatable = { __index = _M }

-- An empty store.
function _M.new()
    return setmetatable({ ctx = ffi_gc(C.X509_STORE_new(), C.X509_STORE_free) }, metatable)
end

function _M.istype(value)
    return type(value) == "table" and istype(STORE, value.ctx)
end

local function result(ok, name)
    if ok ~= 1 then
        return false, errors.format_all_error("x509.store:" .. name)
    end
    return true
end

-- Trust what the system trusts. Returns true, or false and an error; so do the others that change the store.
function _M:use_default()
    return result(C.X509_STORE_set_default_paths(self.ctx), "use_default")
end

-- Trust a certificate.
function _M:add(item)
    if not x509.istype(item) then
        return false, "x509.store:add: expect an x509 or crl instance at #1"
    end
    return result(C.X509_STORE_add_cert(self.ctx, item.ctx), "add: X509_STORE_add_cert")
end

-- Trust the certificates of a PEM file.
function _M:load_file(path)
    if type(path) ~= "string" then
        return false, "x509.store:load_file: expect a string at #1"
    end
    return result(C.X509_STORE_load_locations(self.ctx, path, nil), "load_file")
end

-- Trust those of a directory, named by their hash.
function _M:load_directory(path)
    if type(path) ~= "string" then
        return false, "x509.store:load_directory expect a string at #1"
    end
    return result(C.X509_STORE_load_locations(self.ctx, nil, path), "load_directory")
end

-- How many certificates may stand between one and a trusted one.
function _M:set_depth(depth)
    if not tonumber(depth) then
        return nil, "x509.store:set_depth: expect a number at #1"
    end
    return result(C.X509_STORE_set_depth(self.ctx, tonumber(depth)), "set_depth")
end

-- What certificates must be for: "sslclient", "sslserver", "smimesign", ….
function _M:set_purpose(name)
    if type(name) ~= "string" then
        return nil, "x509.store:set_purpose: expect a string at #1"
    end
    local index = C.X509_PURPOSE_get_by_sname(name)
    if index == -1 then
        return false, 'invalid purpose "' .. name .. '"'
    end
    local purpose = C.X509_PURPOSE_get_id(C.X509_PURPOSE_get0(index))
    return result(C.X509_STORE_set_purpose(self.ctx, purpose), "set_purpose: X509_STORE_set_purpose")
end

-- Add flags of verify_flags.
function _M:set_flags(...)
    local flags = 0
    for i = 1, select("#", ...) do
        flags = bor(flags, (select(i, ...)))
    end
    return result(C.X509_STORE_set_flags(self.ctx, flags), "set_flags: X509_STORE_set_flags")
end

-- Does a certificate follow from a trusted one, by way of those in chain (or nil)? method: "ssl_client", "ssl_server",
-- "smime_sign" or nil. Returns true (with return_chain: the way, a chain); nil and the reason.
function _M:verify(certificate, chain, return_chain, _, method, flags)
    if not x509.istype(certificate) then
        return nil, "x509.store:verify: expect a x509 instance at #1"
    elseif chain and not chains.istype(chain) then
        return nil, "x509.store:verify: expect a x509.chain instance at #1"
    end
    local ctx = ffi_gc(C.X509_STORE_CTX_new(), C.X509_STORE_CTX_free)
    if C.X509_STORE_CTX_init(ctx, self.ctx, certificate.ctx, chain and chain.ctx) ~= 1 then
        return nil, errors.format_error("x509.store:verify: X509_STORE_CTX_init")
    elseif method and C.X509_STORE_CTX_set_default(ctx, method) ~= 1 then
        return nil, 'x509.store:verify: invalid verify_method "' .. tostring(method) .. '"'
    end
    if flags then
        C.X509_STORE_CTX_set_flags(ctx, flags)
    end
    local code = C.X509_verify_cert(ctx)
    if code == 0 then
        base.ERR_clear_error()
        return nil, ffi_string(C.X509_verify_cert_error_string(C.X509_STORE_CTX_get_error(ctx)))
    elseif code ~= 1 then
        return nil, errors.format_error("x509.store:verify: X509_verify_cert", code)
    end
    return not return_chain or chains.own(C.X509_STORE_CTX_get1_chain(ctx))
end

return _M
