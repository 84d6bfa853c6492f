-- Owns the module resty.openssl.x509: certificates (fffonion/lua-resty-openssl).
local ffi = require "ffi"
local C = require "resty.openssl.x509.library"
local algorithms = require "resty.openssl.algorithms"
local base = require "resty.openssl.library"
local altnames = require "resty.openssl.x509.altname"
local bn = require "resty.openssl.bn"
local extensions = require "resty.openssl.x509.extension"
local format_error = require("resty.openssl.err").format_error
local keys = require "resty.openssl.pkey.library"
local making = require "resty.openssl.x509.making"
local names = require "resty.openssl.x509.name"
local objects = require "resty.openssl.objects"
local pkey = require "resty.openssl.pkey"
local written = require("resty.openssl.pkey.reading").written

local cast, ffi_gc, ffi_new, ffi_string, istype = ffi.cast, ffi.gc, ffi.new, ffi.string, ffi.istype
local lower, pairs, setmetatable, tonumber, tostring, type = string.lower, pairs, setmetatable, tonumber, tostring, type

local CERTIFICATE = ffi.typeof("struct x509_st *")
local CONSTRAINTS = ffi.typeof("struct { int ca; void *pathlen; } *")
local BIO_RESET = 1
local DAY = 86400
local MAX_DIGEST = 64

local _M = {}
local metatable = { __index = _M }

local function own(ctx)
    return setmetatable({ ctx = ffi_gc(ctx, C.X509_free) }, metatable)
end

local epoch = ffi_gc(C.ASN1_TIME_set(nil, 0), C.ASN1_STRING_free)

local function read(text, format)
    local bio = ffi_gc(keys.BIO_new_mem_buf(text, #text), keys.BIO_free)
    local ctx
    if format ~= "DER" then
        ctx = C.PEM_read_bio_X509(bio, nil, nil, nil)
    end
    if ctx == nil and format ~= "PEM" then
        keys.BIO_ctrl(bio, BIO_RESET, 0, nil)
        ctx = C.d2i_X509_bio(bio, nil)
    end
    return ctx
end

-- certificate: PEM or DER (format "PEM", "DER" or "*"), nil for a new one, or a pointer to OpenSSL's own, which it
-- frees. Returns a certificate, or nil and an error.
function _M.new(certificate, format)
    local ctx
    if not certificate then
        ctx = C.X509_new()
    elseif type(certificate) == "string" then
        ctx = read(certificate, format)
    elseif type(certificate) ~= "cdata" then
        return nil, "x509.new: expect nil or a string at #1"
    elseif not istype(CERTIFICATE, certificate) then
        return nil, "x509.new: expect a X509* cdata at #1"
    else
        ctx = certificate
    end
    if ctx == nil then
        return nil, format_error("x509.new")
    end
    base.ERR_clear_error()
    local self = own(ctx)
    if not certificate then
        self:set_lifetime(ngx.time(), ngx.time())
    end
    return self
end

function _M.istype(value)
    return type(value) == "table" and istype(CERTIFICATE, value.ctx)
end

-- A copy of an OpenSSL certificate.
function _M.dup(ctx)
    if not istype(CERTIFICATE, ctx) then
        return nil, "x509.dup: expect a x509 ctx at #1"
    end
    return own(C.X509_dup(ctx))
end

-- format: "PEM" (default) or "DER". Returns text, or nil and an error.
function _M:tostring(format)
    if format == "DER" then
        return written(C.i2d_X509_bio, self.ctx)
    elseif format and format ~= "PEM" then
        return nil, "x509:tostring: can only write PEM or DER format, not " .. tostring(format)
    end
    return written(C.PEM_write_bio_X509, self.ctx)
end

function _M:to_PEM()
    return self:tostring("PEM")
end

function metatable.__tostring(self)
    return (self:tostring())
end

local function unix_time(time)
    local days, seconds = ffi_new("int[1]"), ffi_new("int[1]")
    if C.ASN1_TIME_diff(days, seconds, epoch, time) ~= 1 then
        base.ERR_clear_error()
        return nil, "asn1.asn1_to_unix: bad format"
    end
    return days[0] * DAY + seconds[0]
end

-- From when on it is valid, in seconds since 1970.
function _M:get_not_before()
    return unix_time(C.X509_get0_notBefore(self.ctx))
end

-- Until when it is valid, in seconds since 1970.
function _M:get_not_after()
    return unix_time(C.X509_get0_notAfter(self.ctx))
end

-- Returns both times, or nil, nil and an error.
function _M:get_lifetime()
    local from, from_err = self:get_not_before()
    local to, to_err = self:get_not_after()
    if not from or not to then
        return nil, nil, from_err or to_err
    end
    return from, to
end

function _M:get_pubkey()
    local key = C.X509_get_pubkey(self.ctx)
    if key == nil then
        return nil, format_error("x509:get_pubkey")
    end
    return pkey.new(key)
end

function _M:get_subject_name()
    return names.dup(C.X509_get_subject_name(self.ctx))
end

function _M:get_issuer_name()
    return names.dup(C.X509_get_issuer_name(self.ctx))
end

-- The serial number, a bn.
function _M:get_serial_number()
    local number = C.ASN1_INTEGER_to_BN(C.X509_get0_serialNumber(self.ctx), nil)
    return bn.dup(ffi_gc(number, base.BN_free))
end

-- 1, 2 or 3
function _M:get_version()
    return tonumber(C.X509_get_version(self.ctx)) + 1
end

local function digest_with(self, name, digest)
    local md = algorithms.fetch("EVP_MD", digest or "sha1")
    if not md then
        base.ERR_clear_error()
        return nil, 'x509:digest: invalid digest type "' .. tostring(digest) .. '"'
    end
    local buffer, length = ffi_new("unsigned char[?]", MAX_DIGEST), ffi_new("unsigned int[1]")
    if C[name](self.ctx, md, buffer, length) ~= 1 then
        return nil, format_error("x509:digest")
    end
    return ffi_string(buffer, length[0])
end

-- The digest of the certificate, of its key; digest: a name ("sha1").
function _M:digest(digest)
    return digest_with(self, "X509_digest", digest)
end

function _M:pubkey_digest(digest)
    return digest_with(self, "X509_pubkey_digest", digest)
end

-- Is that the certificate's private key? true, or false and why not.
function _M:check_private_key(key)
    if not pkey.istype(key) then
        return false, "x509:check_private_key: except a pkey instance at #1"
    elseif not key:is_private() then
        return false, "x509:check_private_key: not a private key"
    elseif C.X509_check_private_key(self.ctx, key.ctx) ~= 1 then
        return false, format_error("x509:check_private_key")
    end
    return true
end

-- Has that key signed it? true or false, and an error if it cannot be told.
function _M:verify(key)
    if not pkey.istype(key) then
        return false, "x509:verify: expect a pkey instance at #1"
    end
    local code = C.X509_verify(self.ctx, key.ctx)
    if code == -1 then
        return false, format_error("x509:verify", code)
    end
    base.ERR_clear_error()
    return code == 1
end

function _M:get_signature_nid()
    local nid = C.X509_get_signature_nid(self.ctx)
    if nid <= 0 then
        return nil, format_error("x509:get_signature_nid")
    end
    return nid
end

-- "RSA-SHA256"
function _M:get_signature_name()
    return ffi_string(base.OBJ_nid2sn(C.X509_get_signature_nid(self.ctx)))
end

-- "SHA256"
function _M:get_signature_digest_name()
    return ffi_string(base.OBJ_nid2sn((objects.find_sigid_algs(C.X509_get_signature_nid(self.ctx)))))
end

-- The address of its OCSP responder (return_all: an array of all); nil if there is none.
function _M:get_ocsp_url(return_all)
    local stack = ffi_gc(C.X509_get1_ocsp(self.ctx), C.X509_email_free)
    local found = {}
    for i = 1, stack ~= nil and C.OPENSSL_sk_num(stack) or 0 do
        found[i] = ffi_string(cast("const char *", C.OPENSSL_sk_value(stack, i - 1)))
    end
    if return_all and found[1] then
        return found
    end
    return found[1]
end

-- The extension of that name or nid behind `after` (0). Returns it and where it stands; nil if there is none; nil, nil
-- and an error.
function _M:get_extension(name, after)
    local nid, err = objects.txtnid2nid(name)
    if not nid then
        return nil, nil, "x509:get_extension: " .. err
    end
    local at = C.X509_get_ext_by_NID(self.ctx, nid, (after or 0) - 1)
    if at < 0 then
        return nil
    end
    return extensions.dup(C.X509_get_ext(self.ctx, at)), at + 1
end

-- Is the first extension of that name or nid critical? nil if there is none.
function _M:get_extension_critical(name, after)
    local extension, _, err = self:get_extension(name, after)
    if not extension then
        return nil, err
    end
    return extension:get_critical()
end

-- What an extension holds, as OpenSSL's own structure; nil if there is none, or it cannot be read.
local function content_of(self, name)
    local found = C.X509_get_ext_d2i(self.ctx, base.OBJ_txt2nid(name), nil, nil)
    base.ERR_clear_error()
    return found ~= nil and found or nil
end

-- What the extension says of names: an altname, or nil if there is none.
function _M:get_subject_alt_name()
    return altnames.of_extension(content_of(self, "subjectAltName"))
end

function _M:get_issuer_alt_name()
    return altnames.of_extension(content_of(self, "issuerAltName"))
end

-- {ca = boolean, pathlen = number or nil}, or one of them by name; nil if there is no such extension.
function _M:get_basic_constraints(name)
    local found = content_of(self, "basicConstraints")
    if not found then
        return nil
    end
    local held = cast(CONSTRAINTS, ffi_gc(found, C.BASIC_CONSTRAINTS_free))
    local constraints = {
        ca = held.ca ~= 0, pathlen = held.pathlen ~= nil and tonumber(C.ASN1_INTEGER_get(held.pathlen)) or nil,
    }
    if type(name) == "string" then
        return constraints[lower(name)]
    end
    return constraints
end

for name, setter in pairs(making) do
    _M[name] = setter
end

return _M
