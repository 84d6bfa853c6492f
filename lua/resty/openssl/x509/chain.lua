-- Owns the module resty.openssl.x509.chain: lists of certificates (fffonion/lua-resty-openssl).
local ffi = require "ffi"
local C = require "resty.openssl.x509.library"
local x509 = require "resty.openssl.x509"

local cast, ffi_gc = ffi.cast, ffi.gc
local setmetatable, type = setmetatable, type

local _M = {}
local metatable = { __index = _M }

local function free(stack)
    C.OPENSSL_sk_pop_free(stack, cast("void *", C.X509_free))
end

local function own(stack)
    return setmetatable({ stack_of = "X509", ctx = ffi_gc(stack, free) }, metatable)
end

-- An empty chain.
function _M.new()
    return own(C.OPENSSL_sk_new_null())
end

function _M.istype(value)
    return type(value) == "table" and value.stack_of == "X509"
end

-- Add a certificate's copy. Returns true, or nil and an error.
function _M:add(certificate)
    if not x509.istype(certificate) then
        return nil, "x509.chain:add: expect a x509 instance at #1"
    end
    C.OPENSSL_sk_push(self.ctx, C.X509_dup(certificate.ctx))
    return true
end

-- How many there are.
function _M:count()
    return C.OPENSSL_sk_num(self.ctx)
end
metatable.__len = _M.count

-- The certificate at i, from 1; nil if there is none.
function _M:index(i)
    if i < 1 or i > self:count() then
        return nil
    end
    return x509.dup(cast("struct x509_st *", C.OPENSSL_sk_value(self.ctx, i - 1)))
end

-- Iterate over number, certificate.
function _M:each()
    local i = 0
    return function()
        i = i + 1
        local found = self:index(i)
        if found then
            return i, found
        end
    end
end
metatable.__ipairs = _M.each

-- All, as an array.
function _M:all()
    local found = {}
    for i, certificate in self:each() do
        found[i] = certificate
    end
    return found
end

-- A chain that is to be freed with its last reference, of an OpenSSL one that nobody else frees.
_M.own = own

return _M
