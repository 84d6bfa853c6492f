-- Owns what is done with keys: encrypting, signing, agreeing on a secret.
local ffi = require "ffi"
local C = require "resty.openssl.pkey.library"
local algorithms = require "resty.openssl.algorithms"
local base = require "resty.openssl.library"
local control = require("resty.openssl.pkey.making").control
local digests = require "resty.openssl.digest"
local ecdsa = require "resty.openssl.auxiliary.ecdsa"
local format_error = require("resty.openssl.err").format_error

local ffi_gc, ffi_new, ffi_string = ffi.gc, ffi.new, ffi.string
local tonumber, tostring, type = tonumber, tostring, type

local PKCS1 = 1
local CONTEXT = ffi.typeof("struct evp_pkey_ctx_st *[1]")

local _M = {}

-- A context in which the operation has begun, with padding and options; or nil and an error.
local function begin(self, name, padding, opts)
    if self.type_name == "RSA" and padding and not tonumber(padding) then
        return nil, "invalid padding: " .. tostring(padding)
    end
    local ctx = C.EVP_PKEY_CTX_new(self.ctx, nil)
    if ctx == nil then
        return nil, format_error("pkey:asymmetric_routine EVP_PKEY_CTX_new()")
    end
    ffi_gc(ctx, C.EVP_PKEY_CTX_free)
    local code = C["EVP_PKEY_" .. name .. "_init"](ctx)
    if code < 1 then
        return nil, format_error("pkey:asymmetric_routine EVP_PKEY_" .. name .. "_init", code)
    elseif self.type_name == "RSA" and C.EVP_PKEY_CTX_set_rsa_padding(ctx, tonumber(padding or PKCS1)) ~= 1 then
        return nil, format_error("pkey:asymmetric_routine EVP_PKEY_CTX_set_rsa_padding")
    end
    local ok, err = control(ctx, opts)
    if not ok then
        return nil, "pkey:asymmetric_routine: " .. err
    end
    return ctx
end

-- encrypt, decrypt, sign or verify_recover (name) of text. Returns bytes, or nil and an error.
function _M.transform(self, name, text, padding, opts)
    if type(text) ~= "string" then
        return nil, "pkey:asymmetric_routine: expect a string at #1"
    end
    local ctx, err = begin(self, name, padding, opts)
    if not ctx then
        return nil, err
    end
    local buffer, length = ffi_new("unsigned char[?]", self.buf_size), ffi_new("size_t[1]", self.buf_size)
    local code = C["EVP_PKEY_" .. name](ctx, buffer, length, text, #text)
    if code <= 0 then
        return nil, format_error("pkey:asymmetric_routine EVP_PKEY_" .. name, code)
    end
    return ffi_string(buffer, length[0])
end

-- Is that the signature of these bytes, already digested? Returns true; or nil and an error.
function _M.verify_raw(self, signature, hashed, digest, padding, opts)
    if type(hashed) ~= "string" or type(signature) ~= "string" then
        return nil, "pkey:asymmetric_routine: expect a string at #1"
    end
    local ctx, err = begin(self, "verify", padding, opts)
    if not ctx then
        return nil, err
    elseif digest and C.EVP_PKEY_CTX_ctrl_str(ctx, "digest", digest) ~= 1 then
        return nil, format_error("pkey:asymmetric_routine: EVP_PKEY_CTX_ctrl_str(digest)")
    end
    local code = C.EVP_PKEY_verify(ctx, signature, #signature, hashed, #hashed)
    if code <= 0 then
        return nil, format_error("pkey:asymmetric_routine EVP_PKEY_verify", code)
    end
    return true
end

-- A digest context in which signing or verifying (init) has begun; or nil and an error.
local function begin_digest(self, init, digest, padding, opts)
    local md
    if digest then
        md = algorithms.fetch("EVP_MD", digest)
        if not md then
            base.ERR_clear_error()
            return nil, 'pkey:sign_verify_prepare: invalid digest type "' .. digest .. '"'
        end
    end
    local ctx, key_ctx = ffi_gc(base.EVP_MD_CTX_new(), base.EVP_MD_CTX_free), CONTEXT()
    if init(ctx, key_ctx, md, nil, self.ctx) ~= 1 then
        return nil, format_error("pkey:sign_verify_prepare: Init failed")
    elseif self.type_name == "RSA" and padding
        and C.EVP_PKEY_CTX_set_rsa_padding(key_ctx[0], padding) ~= 1
    then
        return nil, format_error("pkey:sign_verify_prepare EVP_PKEY_CTX_set_rsa_padding")
    end
    local ok, err = control(key_ctx[0], opts)
    if not ok then
        return nil, "pkey:sign_verify_prepare: " .. err
    end
    return ctx
end

local function sign_text(self, text, digest, padding, opts)
    local ctx, err = begin_digest(self, C.EVP_DigestSignInit, digest, padding, opts)
    if not ctx then
        return nil, err
    end
    local buffer, length = ffi_new("unsigned char[?]", self.buf_size), ffi_new("size_t[1]", self.buf_size)
    if C.EVP_DigestSign(ctx, buffer, length, text, #text) ~= 1 then
        return nil, format_error("pkey:sign: EVP_DigestSign")
    end
    return ffi_string(buffer, length[0])
end

local function sign_digest(self, digest)
    local buffer, length = ffi_new("unsigned char[?]", self.buf_size), ffi_new("unsigned int[1]")
    if C.EVP_SignFinal(digest.ctx, buffer, length, self.ctx) ~= 1 then
        return nil, format_error("pkey:sign: EVP_SignFinal")
    end
    return ffi_string(buffer, length[0])
end

-- what: text, or a digest that has been fed. Returns the signature, or nil and an error.
function _M.sign(self, what, digest, padding, opts)
    local found, err
    if type(what) == "string" then
        found, err = sign_text(self, what, digest, padding, opts)
    elseif digests.istype(what) then
        found, err = sign_digest(self, what)
    else
        err = "pkey:sign: expect a digest instance or a string at #1"
    end
    if found and self.type_name == "EC" and opts and opts.ecdsa_use_raw then
        found, err = ecdsa.sig_der2raw(found, self:order_size())
        err = err and "pkey:sign: ecdsa.sig_der2raw: " .. err
    end
    if not found then
        return nil, err
    end
    return found
end

-- Returns whether that is the signature of the text or the digest, and an error if not; nil and an error if it cannot
-- be told.
function _M.verify(self, signature, what, digest, padding, opts)
    if type(signature) ~= "string" then
        return nil, "pkey:verify: expect a string at #1"
    end
    local err
    if self.type_name == "EC" and opts and opts.ecdsa_use_raw then
        signature, err = ecdsa.sig_raw2der(signature, self:order_size())
        if not signature then
            return nil, "pkey:sign: ecdsa.sig_raw2der: " .. err
        end
    end
    local code
    if type(what) == "string" then
        local ctx
        ctx, err = begin_digest(self, C.EVP_DigestVerifyInit, digest, padding, opts)
        if not ctx then
            return nil, err
        end
        code = C.EVP_DigestVerify(ctx, signature, #signature, what, #what)
    elseif digests.istype(what) then
        code = C.EVP_VerifyFinal(what.ctx, signature, #signature, self.ctx)
    else
        return nil, "pkey:verify: expect a digest instance or a string at #2"
    end
    if code == 1 then
        return true
    end
    return false, format_error("pkey:verify")
end

-- The secret that this key and a peer's public one agree on; nil and an error.
function _M.derive(self, peer)
    local ctx = ffi_gc(C.EVP_PKEY_CTX_new(self.ctx, nil), C.EVP_PKEY_CTX_free)
    local code = C.EVP_PKEY_derive_init(ctx)
    if code <= 0 then
        return nil, format_error("pkey:derive: EVP_PKEY_derive_init", code)
    end
    code = C.EVP_PKEY_derive_set_peer(ctx, peer.ctx)
    if code <= 0 then
        return nil, format_error("pkey:derive: EVP_PKEY_derive_set_peer", code)
    end
    local length = ffi_new("size_t[1]")
    C.EVP_PKEY_derive(ctx, nil, length)
    local buffer = ffi_new("unsigned char[?]", length[0])
    code = C.EVP_PKEY_derive(ctx, buffer, length)
    if code <= 0 then
        return nil, format_error("pkey:derive: EVP_PKEY_derive", code)
    end
    return ffi_string(buffer, length[0])
end

return _M
