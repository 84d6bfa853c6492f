-- Owns the module resty.openssl.x509.extension: what certificates say beyond names and times
-- (fffonion/lua-resty-openssl).
local ffi = require "ffi"
local C = require "resty.openssl.x509.library"
local keys = require "resty.openssl.pkey.library"
local format_error = require("resty.openssl.err").format_error
local objects = require "resty.openssl.objects"
local written = require("resty.openssl.pkey.reading").written

local ffi_gc, ffi_new, ffi_string, istype = ffi.gc, ffi.new, ffi.string, ffi.istype
local setmetatable, type = setmetatable, type

local CONTEXT_SIZE = 256 -- bytes; more than an X509V3_CTX has
local EXTENSION = ffi.typeof("struct X509_extension_st *")

local _M = {}
local metatable = { __index = _M }

local function own(ctx)
    return setmetatable({ ctx = ffi_gc(ctx, C.X509_EXTENSION_free) }, metatable)
end

local function load_conf(conf, text)
    local bio = ffi_gc(keys.BIO_new_mem_buf(text, #text), keys.BIO_free)
    return C.NCONF_load_bio(conf, bio, nil) == 1
end

-- name: of the extension ("basicConstraints") or its nid; value: as in openssl.cnf ("CA:TRUE"); data: nil, more text as
-- of openssl.cnf, or {issuer = x509, subject = x509, db = text}. Returns an extension, or nil and an error.
function _M.new(name, value, data)
    local nid, err = objects.txtnid2nid(name)
    if not nid then
        return nil, "x509.extension.new: " .. err
    elseif type(value) ~= "string" then
        return nil, "x509.extension.new: expect string at #2"
    elseif data ~= nil and type(data) ~= "string" and type(data) ~= "table" then
        return nil, "x509.extension.new: expect nil, string a table at #3"
    end
    local conf = ffi_gc(C.NCONF_new(nil), C.NCONF_free)
    local context = ffi_new("char[?]", CONTEXT_SIZE)
    local text = type(data) == "table" and data.db or type(data) == "string" and data
    if text and not load_conf(conf, text) then
        return nil, "x509.extension.new: " .. format_error("NCONF_load_bio")
    end
    if type(data) == "table" then
        C.X509V3_set_ctx(context, data.issuer and data.issuer.ctx, data.subject and data.subject.ctx, nil, nil, 0)
    end
    C.X509V3_set_nconf(context, conf)
    local ctx = C.X509V3_EXT_nconf_nid(conf, context, nid, value)
    if ctx == nil then
        return nil, format_error("x509.extension.new")
    end
    return own(ctx)
end

function _M.istype(value)
    return type(value) == "table" and istype(EXTENSION, value.ctx)
end

-- A copy of an OpenSSL extension.
function _M.dup(ctx)
    if not istype(EXTENSION, ctx) then
        return nil, "x509.extension.dup: expect a x509.extension ctx at #1"
    end
    return own(C.X509_EXTENSION_dup(ctx))
end

-- An extension of its content as DER.
function _M.from_der(der, name, critical)
    local nid, err = objects.txtnid2nid(name)
    if not nid then
        return nil, "x509.extension.from_der: " .. err
    elseif type(der) ~= "string" then
        return nil, "x509.extension.from_der: expect string at #1"
    end
    local data = ffi_gc(C.ASN1_STRING_new(), C.ASN1_STRING_free)
    C.ASN1_STRING_set(data, der, #der)
    local ctx = C.X509_EXTENSION_create_by_NID(nil, nid, critical and 1 or 0, data)
    if ctx == nil then
        return nil, format_error("x509.extension.from_der: X509_EXTENSION_create_by_NID")
    end
    return own(ctx)
end

-- The content as DER.
function _M:to_der()
    local data = C.X509_EXTENSION_get_data(self.ctx)
    return ffi_string(C.ASN1_STRING_get0_data(data), C.ASN1_STRING_length(data))
end

-- {id, nid, sn, ln}: which extension it is
function _M:get_object()
    return objects.obj2table(C.X509_EXTENSION_get_object(self.ctx))
end

function _M:get_critical()
    return C.X509_EXTENSION_get_critical(self.ctx) == 1
end

function _M:set_critical(critical)
    if C.X509_EXTENSION_set_critical(self.ctx, critical and 1 or 0) ~= 1 then
        return false, format_error("x509.extension:set_critical")
    end
    return true
end

-- The content for people.
function _M:tostring()
    local text = written(C.X509V3_EXT_print, self.ctx, 0, 0)
    return text or written(C.ASN1_STRING_print, C.X509_EXTENSION_get_data(self.ctx))
end
_M.text = _M.tostring

function metatable.__tostring(self)
    return (self:tostring())
end

return _M
