-- Owns the algorithms that OpenSSL's providers gave: looking one up takes far longer than using it. Must never free
-- what it has handed out.
local ffi = require "ffi"
local C = require "resty.openssl.library"

local ffi_gc, ffi_string = ffi.gc, ffi.string

local KINDS = { "EVP_MD", "EVP_MAC", "EVP_CIPHER", "EVP_KDF" }

local held = {} -- kind -> name -> algorithm
for _, kind in ipairs(KINDS) do
    held[kind] = {}
end

local _M = {}

-- The algorithm of that kind ("EVP_MD", …) and name, or nil. properties: a query for a provider, or nil.
function _M.fetch(kind, name, properties)
    local known = not properties and held[kind][name]
    if known then
        return known
    end
    local found = C[kind .. "_fetch"](nil, name, properties)
    if found == nil then
        return nil
    end
    ffi_gc(found, C[kind .. "_free"])
    if not properties then
        held[kind][name] = found
    end
    return found
end

-- The name of the provider that an algorithm comes from, or nil.
function _M.provider_name(kind, algorithm)
    local provider = C[kind .. "_get0_provider"](algorithm)
    return provider ~= nil and ffi_string(C.OSSL_PROVIDER_get0_name(provider)) or nil
end

return _M
