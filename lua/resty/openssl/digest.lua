-- Owns the module resty.openssl.digest: message digests by name (fffonion/lua-resty-openssl).
local ffi = require "ffi"
local C = require "resty.openssl.library"
local algorithms = require "resty.openssl.algorithms"
local format_error = require("resty.openssl.err").format_error

local ffi_gc, ffi_new, ffi_string, istype = ffi.gc, ffi.new, ffi.string, ffi.istype
local select, setmetatable, tostring, type = select, setmetatable, tostring, type

local CONTEXT = ffi.typeof("struct evp_md_ctx_st *")
local length = ffi_new("unsigned int[1]")

local _M = {}
local metatable = { __index = _M }

-- name: of OpenSSL ("sha256"); by default sha1. Returns a digest, or nil and an error.
function _M.new(name, properties)
    local ctx = C.EVP_MD_CTX_new()
    if ctx == nil then
        return nil, "digest.new: failed to create EVP_MD_CTX"
    end
    ffi_gc(ctx, C.EVP_MD_CTX_free)
    local algo
    if name == "null" then
        algo = C.EVP_md_null()
    else
        algo = algorithms.fetch("EVP_MD", name or "sha1", properties)
    end
    if not algo or C.EVP_DigestInit_ex(ctx, algo, nil) ~= 1 then
        return nil, format_error('digest.new: invalid digest type "' .. tostring(name) .. '"')
    end
    local size = C.EVP_MD_get_size(algo)
    return setmetatable({ ctx = ctx, algo = algo, buf = ffi_new("unsigned char[?]", size) }, metatable)
end

function _M.istype(value)
    return type(value) == "table" and istype(CONTEXT, value.ctx)
end

function _M:get_provider_name()
    return algorithms.provider_name("EVP_MD", self.algo)
end

-- Add strings. Returns true, or false and an error.
function _M:update(...)
    for i = 1, select("#", ...) do
        local text = select(i, ...)
        if C.EVP_DigestUpdate(self.ctx, text, #text) ~= 1 then
            return false, format_error("digest:update")
        end
    end
    return true
end

-- The digest as bytes, of what was added and of text if it is given; nil and an error on failure.
function _M:final(text)
    if text and C.EVP_DigestUpdate(self.ctx, text, #text) ~= 1 then
        return false, format_error("digest:final")
    end
    if C.EVP_DigestFinal_ex(self.ctx, self.buf, length) ~= 1 then
        return nil, format_error("digest:final: EVP_DigestFinal_ex")
    end
    return ffi_string(self.buf, length[0])
end

-- Begin again. Returns true, or false and an error.
function _M:reset()
    if C.EVP_DigestInit_ex(self.ctx, self.algo, nil) ~= 1 then
        return false, format_error("digest:reset")
    end
    return true
end

return _M
