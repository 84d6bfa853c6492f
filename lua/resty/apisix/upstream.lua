-- Owns the runtime's own functions for TLS to an upstream that APISIX's runtime adds to nginx. They hold for the
-- request that calls them, and for https and grpcs upstreams alone.
local current = require "server.current"
local types = require "server.tls.types"

local setmetatable, type = setmetatable, type

local _M = {}

-- Numbers for objects that tell one connection from another: an address may be another object's soon.
local numbers, last = setmetatable({}, { __mode = "k" }), 0

local function number_of(object)
    local number = numbers[object]
    if not number then
        last = last + 1
        number = last
        numbers[object] = number
    end
    return "#" .. number
end

local function own()
    local r = current.request
    local found = r.upstream_tls
    if not found then
        found = { key = "" }
        r.upstream_tls = found
    end
    return found
end

-- Show this certificate (a chain and a key of ngx.ssl). Returns true, or nil and an error text.
function _M.set_cert_and_key(chain, key)
    if not types.fits("chain", chain) or not types.fits("key", key) then
        return nil, "certificate and key must be cdata of ngx.ssl"
    end
    local tls = own()
    tls.chain, tls.pkey = chain, key
    tls.key = tls.key .. number_of(chain) .. number_of(key)
    return true
end

-- Trust this X509_STORE * alone. Returns true, or nil and an error text.
function _M.set_ssl_trusted_store(store)
    if not types.fits("store", store) then
        return nil, "the store must be cdata"
    end
    local tls = own()
    tls.store = store
    tls.key = tls.key .. number_of(store)
    return true
end

-- Whether the upstream's certificate is verified. Returns true, or nil and an error text.
function _M.set_ssl_verify(verify)
    if type(verify) ~= "boolean" then
        return nil, "verify must be a boolean"
    end
    local tls = own()
    tls.verify = verify
    tls.key = tls.key .. (verify and "#v" or "#n")
    return true
end

return _M
