-- Owns the module resty.openssl.hmac: keyed digests (fffonion/lua-resty-openssl).
local ffi = require "ffi"
local C = require "resty.openssl.library"
local algorithms = require "resty.openssl.algorithms"
local format_error = require("resty.openssl.err").format_error

local ffi_gc, ffi_new, ffi_string, istype = ffi.gc, ffi.new, ffi.string, ffi.istype
local select, setmetatable, tostring, type = select, setmetatable, tostring, type

local CONTEXT = ffi.typeof("struct hmac_ctx_st *")
local length = ffi_new("unsigned int[1]")

local _M = {}
local metatable = { __index = _M }

-- key: bytes; name: of the digest, by default sha1. Returns an HMAC, or nil and an error.
function _M.new(key, name)
    local ctx = C.HMAC_CTX_new()
    if ctx == nil then
        return nil, "hmac.new: failed to create HMAC_CTX"
    end
    ffi_gc(ctx, C.HMAC_CTX_free)
    local algo = algorithms.fetch("EVP_MD", name or "sha1")
    if not algo then
        C.ERR_clear_error()
        return nil, 'hmac.new: invalid digest type "' .. tostring(name) .. '"'
    elseif C.HMAC_Init_ex(ctx, key, #key, algo, nil) ~= 1 then
        return nil, format_error("hmac.new")
    end
    local size = C.EVP_MD_get_size(algo)
    return setmetatable({ ctx = ctx, algo = algo, buf = ffi_new("unsigned char[?]", size) }, metatable)
end

function _M.istype(value)
    return type(value) == "table" and istype(CONTEXT, value.ctx)
end

-- Add strings. Returns true, or false and an error.
function _M:update(...)
    for i = 1, select("#", ...) do
        local text = select(i, ...)
        if C.HMAC_Update(self.ctx, text, #text) ~= 1 then
            return false, format_error("hmac:update")
        end
    end
    return true
end

-- The HMAC as bytes, of what was added and of text if it is given; nil and an error on failure.
function _M:final(text)
    if text and C.HMAC_Update(self.ctx, text, #text) ~= 1 then
        return false, format_error("hmac:final")
    end
    if C.HMAC_Final(self.ctx, self.buf, length) ~= 1 then
        return nil, format_error("hmac:final: HMAC_Final")
    end
    return ffi_string(self.buf, length[0])
end

-- Begin again with the same key. Returns true, or false and an error.
function _M:reset()
    if C.HMAC_Init_ex(self.ctx, nil, 0, nil, nil) ~= 1 then
        return false, format_error("hmac:reset")
    end
    return true
end

return _M
