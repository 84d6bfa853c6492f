-- Owns how certificates are made: the setters of resty.openssl.x509, each of which returns true, or false and an error.
local ffi = require "ffi"
local C = require "resty.openssl.x509.library"
local altnames = require "resty.openssl.x509.altname"
local bn = require "resty.openssl.bn"
local digests = require "resty.openssl.digest"
local extensions = require "resty.openssl.x509.extension"
local format_error = require("resty.openssl.err").format_error
local names = require "resty.openssl.x509.name"
local objects = require "resty.openssl.objects"
local pkey = require "resty.openssl.pkey"

local ffi_gc, type = ffi.gc, type

local _M = {}

-- Returns whether C.X509_set_… took it: true, or false and an error.
local function set(self, name, value, label)
    if C[name](self.ctx, value) == 0 then
        return false, format_error("x509:" .. label)
    end
    return true
end

local function set_time(self, name, seconds, label)
    if type(seconds) ~= "number" then
        return false, "x509:" .. label .. ": expect a number at #1"
    end
    return set(self, name, ffi_gc(C.ASN1_TIME_set(nil, seconds), C.ASN1_STRING_free), label)
end

function _M:set_not_before(seconds)
    return set_time(self, "X509_set1_notBefore", seconds, "set_not_before")
end

function _M:set_not_after(seconds)
    return set_time(self, "X509_set1_notAfter", seconds, "set_not_after")
end

function _M:set_lifetime(from, to)
    local ok, err = true, nil
    if from then
        ok, err = self:set_not_before(from)
    end
    if ok and to then
        ok, err = self:set_not_after(to)
    end
    return ok, err
end

function _M:set_pubkey(key)
    if not pkey.istype(key) then
        return false, "x509:set_pubkey: expect a pkey instance at #1"
    end
    return set(self, "X509_set_pubkey", key.ctx, "set_pubkey")
end

local function set_name(self, which, name)
    if not names.istype(name) then
        return false, "x509:set_" .. which .. "_name: expect a x509.name instance at #1"
    end
    return set(self, "X509_set_" .. which .. "_name", name.ctx, "set_" .. which .. "_name")
end

function _M:set_subject_name(name)
    return set_name(self, "subject", name)
end

function _M:set_issuer_name(name)
    return set_name(self, "issuer", name)
end

function _M:set_serial_number(number)
    if not bn.istype(number) then
        return false, "x509:set_serial_number: expect a bn instance at #1"
    end
    local held = ffi_gc(C.BN_to_ASN1_INTEGER(number.ctx, nil), C.ASN1_INTEGER_free)
    return set(self, "X509_set_serialNumber", held, "set_serial_number")
end

function _M:set_version(version)
    if type(version) ~= "number" then
        return false, "x509:set_version: expect a number at #1"
    end
    return set(self, "X509_set_version", version - 1, "set_version")
end

-- Sign it with an issuer's key; digest: an object of resty.openssl.digest, or nil. Returns true, or false and an error.
function _M:sign(key, digest)
    if not pkey.istype(key) then
        return false, "x509:sign: expect a pkey instance at #1"
    elseif digest and not digests.istype(digest) then
        return false, "x509:sign: expect a digest instance at #2"
    end
    if C.X509_sign(self.ctx, key.ctx, digest and digest.algo) == 0 then
        return false, format_error("x509:sign")
    end
    return true
end

-- Returns true, or false and an error.
function _M:add_extension(extension)
    if not extensions.istype(extension) then
        return false, "x509:add_extension: expect a x509.extension instance at #1"
    elseif C.X509_add_ext(self.ctx, extension.ctx, -1) ~= 1 then
        return false, format_error("x509:add_extension")
    end
    return true
end

-- Put it in the stead of the one of its kind, or add it.
function _M:set_extension(extension, after)
    if not extensions.istype(extension) then
        return false, "x509:set_extension: expect a x509.extension instance at #1"
    end
    local at = C.X509_get_ext_by_NID(self.ctx, extension:get_object().nid, (after or 0) - 1)
    if at >= 0 then
        C.X509_EXTENSION_free(C.X509_delete_ext(self.ctx, at))
    end
    return self:add_extension(extension)
end

-- Of the first extension of that name or nid.
function _M:set_extension_critical(name, critical, after)
    local nid, err = objects.txtnid2nid(name)
    local at = nid and C.X509_get_ext_by_NID(self.ctx, nid, (after or 0) - 1)
    if not nid or at < 0 then
        return false, "x509:set_extension_critical: " .. (err or "no such extension")
    elseif C.X509_EXTENSION_set_critical(C.X509_get_ext(self.ctx, at), critical and 1 or 0) ~= 1 then
        return false, format_error("x509:set_extension_critical")
    end
    return true
end

-- names: an altname.
function _M:set_subject_alt_name(alternatives)
    if not altnames.istype(alternatives) then
        return false, "x509:set_subject_alt_name: expect a x509.altname instance at #1"
    end
    local extension, err = alternatives:to_extension()
    if not extension then
        return false, err
    end
    return self:set_extension(extension)
end

-- constraints: {ca = boolean, pathlen = number or nil}
function _M:set_basic_constraints(constraints)
    if type(constraints) ~= "table" then
        return false, "x509:set_basic_constraints: expect a table at #1"
    end
    local text = constraints.ca and "CA:TRUE" or "CA:FALSE"
    if constraints.pathlen then
        text = text .. ",pathlen:" .. constraints.pathlen
    end
    local extension, err = extensions.new("basicConstraints", text)
    if not extension then
        return false, err
    end
    return self:set_extension(extension)
end

return _M
