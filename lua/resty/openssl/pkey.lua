-- Owns the module resty.openssl.pkey: asymmetric keys (fffonion/lua-resty-openssl). What is done with them stands in
-- resty.openssl.pkey.*.
local ffi = require "ffi"
local C = require "resty.openssl.pkey.library"
local base = require "resty.openssl.library"
local format_error = require("resty.openssl.err").format_error
local jwk = require "resty.openssl.auxiliary.jwk"
local making = require "resty.openssl.pkey.making"
local objects = require "resty.openssl.objects"
local parameters = require "resty.openssl.pkey.parameters"
local reading = require "resty.openssl.pkey.reading"
local using = require "resty.openssl.pkey.using"

local ceil = math.ceil
local ffi_gc, ffi_new, ffi_string, istype = ffi.gc, ffi.new, ffi.string, ffi.istype
local setmetatable, tostring, type = setmetatable, tostring, type

local KEY = ffi.typeof("struct evp_pkey_st *")

-- what OpenSSL's type names are called as objects, where that differs
local OBJECTS = { RSA = "rsaEncryption", EC = "id-ecPublicKey", ["RSA-PSS"] = "RSASSA-PSS", DH = "dhKeyAgreement",
    DHX = "dhpublicnumber" }
-- whose missing private key OpenSSL does not notice before it signs
local RAW = { ED25519 = true, ED448 = true, X25519 = true, X448 = true }

local _M = {
    PADDINGS = {
        RSA_PKCS1_PADDING = 1, RSA_NO_PADDING = 3, RSA_PKCS1_OAEP_PADDING = 4, RSA_X931_PADDING = 5,
        RSA_PKCS1_PSS_PADDING = 6,
    },
}
local metatable = { __index = _M }

local function adopt(self, ctx)
    self.ctx = ffi_gc(ctx, C.EVP_PKEY_free)
    self.buf_size = C.EVP_PKEY_get_size(ctx)
    return self
end

local function wrap(ctx)
    local name = C.EVP_PKEY_get0_type_name(ctx)
    if name == nil then
        C.EVP_PKEY_free(ctx)
        return nil, "pkey.new: cannot get key type name"
    end
    name = ffi_string(name)
    local nid = base.OBJ_txt2nid(OBJECTS[name] or name)
    base.ERR_clear_error()
    return adopt(setmetatable({ type_name = name, key_type = nid }, metatable), ctx)
end

-- source: nil or a table {type, bits, exp, curve, group, param}: a new key; {type, params = {…}}: one of these
-- parameters; a string: PEM, DER or JWK, opts: format, type ("pr", "pu"), passphrase, passphrase_cb; a pointer to
-- OpenSSL's own. Returns a key, or nil and an error.
function _M.new(source, opts)
    local ctx, err
    if source == nil or type(source) == "table" then
        source = source or {}
        if source.params then
            ctx, err = parameters.compose(source.type or "RSA", source.params, source.properties)
        else
            ctx, err = making.generate(source)
        end
        err = err and "pkey.new:new_key: " .. err
    elseif type(source) == "string" then
        ctx, err = reading.read(source, opts or {})
        err = err and "pkey.new:load_key: " .. err
    elseif type(source) ~= "cdata" then
        err = "pkey.new: unexpected type " .. type(source) .. " at #1"
    elseif istype(KEY, source) then
        ctx = source
    else
        err = "pkey.new: expect a EVP_PKEY* cdata at #1"
    end
    if not ctx then
        return nil, err
    end
    return wrap(ctx)
end

function _M.istype(value)
    return type(value) == "table" and istype(KEY, value.ctx)
end

-- {id, nid, sn, ln} of the key's type, or the nid alone; nil and an error if it has none.
function _M:get_key_type(nid_only)
    if self.key_type == 0 then
        return nil, "pkey:get_key_type: key type has no ASN.1 NID"
    end
    return nid_only and self.key_type or objects.nid2table(self.key_type)
end

-- Bytes of the longest signature or ciphertext.
function _M:get_size()
    return C.EVP_PKEY_get_size(self.ctx)
end

-- {id, nid, sn, ln, mandatory} of the digest to sign with, or nil and an error.
function _M:get_default_digest_type()
    local nid = ffi_new("int[1]")
    local code = C.EVP_PKEY_get_default_digest_nid(self.ctx, nid)
    if code == -2 then
        return nil, "operation is not supported by the public key algorithm"
    elseif code <= 0 then
        return nil, format_error("get_default_digest", code)
    end
    local found = objects.nid2table(nid[0])
    found.mandatory = code == 2
    return found
end

function _M:get_provider_name()
    local provider = C.EVP_PKEY_get0_provider(self.ctx)
    return provider ~= nil and ffi_string(base.OSSL_PROVIDER_get0_name(provider)) or nil
end

-- Bytes of r, and of s, of an EC key's signatures.
function _M:order_size()
    if not self._order_size then
        local order = ffi_new("struct bignum_st *[1]")
        C.EVP_PKEY_get_bn_param(self.ctx, "order", order)
        self._order_size = ceil(base.BN_num_bits(ffi_gc(order[0], base.BN_free)) / 8)
    end
    return self._order_size
end

-- RSA: n, e, d, p, q, dmp1, dmq1, iqmp; EC: group (a nid), public, private, x, y; else public, private (bytes). Each is
-- read when it is asked for; nil if the key has none.
function _M:get_parameters()
    return parameters.all(self.ctx, self.type_name)
end

-- Change parameters. Returns true, or false and an error.
function _M:set_parameters(given)
    local ctx, err = parameters.change(self.ctx, self.type_name, given)
    if not ctx then
        return false, err
    end
    self._order_size = nil
    C.EVP_PKEY_free(ffi_gc(self.ctx, nil))
    adopt(self, ctx)
    return true
end

function _M:is_private()
    local name = self.type_name:sub(1, 3) == "RSA" and "d" or "private"
    return parameters.get(self.ctx, self.type_name, name) ~= nil
end

-- text: as long as the padding lets it be; padding: of PADDINGS (PKCS1); opts: mgf1_md, oaep_md, "name:value", ….
-- Returns bytes, or nil and an error. So do decrypt, sign_raw (text: a digest) and verify_recover.
function _M:encrypt(text, padding, opts)
    return using.transform(self, "encrypt", text, padding, opts)
end

function _M:decrypt(text, padding, opts)
    return using.transform(self, "decrypt", text, padding, opts)
end

function _M:sign_raw(text, padding, opts)
    if RAW[self.type_name] and not self:is_private() then
        return nil, "pkey:sign_raw: missing private key"
    end
    return using.transform(self, "sign", text, padding, opts)
end

function _M:verify_recover(text, padding, opts)
    return using.transform(self, "verify_recover", text, padding, opts)
end

_M.verify_raw = using.verify_raw

-- what: text, or a digest that has been fed; digest: its name, for text; padding, opts as above, also pss_saltlen and
-- ecdsa_use_raw (r and s one after the other). Returns the signature, or nil and an error.
function _M:sign(what, digest, padding, opts)
    if RAW[self.type_name] and not self:is_private() then
        return nil, "pkey:sign: missing private key"
    end
    return using.sign(self, what, digest, padding, opts)
end

_M.verify = using.verify

-- The secret that this private key and a public one of the same kind agree on; nil and an error.
function _M:derive(peer)
    if not _M.istype(peer) then
        return nil, "pkey:derive: expect a pkey instance at #1"
    end
    return using.derive(self, peer)
end

-- which: "public" (default) or "private"; format: "PEM" (default), "DER" or "JWK". Returns text, or nil and an error.
function _M:tostring(which, format, pkcs1)
    local private = which == "private" or which == "PrivateKey"
    if which and not private and which ~= "public" and which ~= "PublicKey" then
        return nil, "pkey:tostring: can only export private or public key, not " .. tostring(which)
    elseif format == "JWK" then
        return jwk.dump_jwk(self, private)
    elseif pkcs1 and (format ~= "PEM" or self.type_name ~= "RSA") then
        return nil, 'PKCS#1 format is only supported to encode RSA key in "PEM" format'
    elseif pkcs1 then
        return nil, "writing out RSA key in PKCS#1 format is not supported in OpenSSL 3.0"
    end
    return reading.write(self.ctx, private, format)
end

function _M:to_PEM(which, pkcs1)
    return self:tostring(which, "PEM", pkcs1)
end

function metatable.__tostring(self)
    return (self:tostring())
end

-- PEM of parameters: {type = "EC", curve} or {type = "DH", group | bits}; nil and an error.
function _M.paramgen(config)
    if config.type ~= "EC" and config.type ~= "DH" then
        return nil, "pkey.paramgen: unsupported type " .. tostring(config.type)
    end
    local held, err = making.parameters(config)
    if not held then
        return nil, "pkey.paramgen: generate_param: " .. err
    end
    return reading.written(C.PEM_write_bio_Parameters, ffi_gc(held, C.EVP_PKEY_free))
end

return _M
