-- Owns the module resty.openssl.mac: message authentication codes by name (fffonion/lua-resty-openssl).
local ffi = require "ffi"
local C = require "resty.openssl.library"
local algorithms = require "resty.openssl.algorithms"
local format_error = require("resty.openssl.err").format_error
local params = require "resty.openssl.params"

local ffi_gc, ffi_new, ffi_string, istype = ffi.gc, ffi.new, ffi.string, ffi.istype
local select, setmetatable, tonumber, tostring, type = select, setmetatable, tonumber, tostring, type

local CONTEXT = ffi.typeof("struct evp_mac_ctx_st *")
local KINDS = { digest = params.UTF8, cipher = params.UTF8 }
local length = ffi_new("size_t[1]")

local _M = {}
local metatable = { __index = _M }

-- digest name, cipher name -> list: there are few, and they live as long as the worker
local lists = {}

-- Begin with that key. Returns the list of parameters, or nil if there is no such digest or cipher.
local function begin(ctx, key, cipher, digest)
    local names = (cipher or "") .. ":" .. (digest or "")
    local list = lists[names] or params.build({ cipher = cipher, digest = digest }, KINDS)
    if C.EVP_MAC_init(ctx, key, #key, list) ~= 1 then
        return nil
    end
    lists[names] = list
    return list
end

-- key: bytes; name: of the kind ("HMAC", "CMAC", …); cipher, digest: names, whichever the kind needs. Returns a MAC,
-- or nil and an error.
function _M.new(key, name, cipher, digest, properties)
    local algo = algorithms.fetch("EVP_MAC", name, properties)
    if not algo then
        return nil, format_error('mac.new: invalid mac type "' .. tostring(name) .. '"')
    end
    local ctx = C.EVP_MAC_CTX_new(algo)
    if ctx == nil then
        return nil, "mac.new: failed to create EVP_MAC_CTX"
    end
    ffi_gc(ctx, C.EVP_MAC_CTX_free)
    local list = begin(ctx, key, cipher, digest)
    if not list then
        return nil, format_error("mac.new: invalid cipher or digest type")
    end
    local size = tonumber(C.EVP_MAC_CTX_get_mac_size(ctx))
    return setmetatable({
        ctx = ctx, algo = algo, buf = ffi_new("unsigned char[?]", size), buf_size = size, _key = key, _list = list,
    }, metatable)
end

function _M.istype(value)
    return type(value) == "table" and istype(CONTEXT, value.ctx)
end

function _M:get_provider_name()
    return algorithms.provider_name("EVP_MAC", self.algo)
end

-- Add strings. Returns true, or false and an error.
function _M:update(...)
    for i = 1, select("#", ...) do
        local text = select(i, ...)
        if C.EVP_MAC_update(self.ctx, text, #text) ~= 1 then
            return false, format_error("mac:update")
        end
    end
    return true
end

-- The code as bytes, of what was added and of text if it is given; nil and an error on failure.
function _M:final(text)
    if text and C.EVP_MAC_update(self.ctx, text, #text) ~= 1 then
        return false, format_error("mac:final")
    end
    if C.EVP_MAC_final(self.ctx, self.buf, length, self.buf_size) ~= 1 then
        return nil, format_error("mac:final: EVP_MAC_final")
    end
    return ffi_string(self.buf, length[0])
end

-- Begin again with the same key. Returns true, or false and an error.
function _M:reset()
    if C.EVP_MAC_init(self.ctx, self._key, #self._key, self._list) ~= 1 then
        return false, format_error("mac:reset")
    end
    return true
end

return _M
