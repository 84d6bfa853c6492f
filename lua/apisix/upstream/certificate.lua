-- Owns the certificate that a request shows to its upstream: the upstream's own, or a client's one of /ssls. Must
-- never choose an upstream. Mirrors resolve_upstream_client_cert of apisix.
local secret = require "apisix.secret"
local ssl = require "apisix.ssl"

local require = require

local BAD_GATEWAY, UNAVAILABLE = 502, 503

local _M = {}

-- The item's value of /ssls, what it refers to filled in; or nil, err.
local function find(id)
    local value = require("apisix.ssl.router.radixtree_sni").get_by_id(id)
    if not value then
        return nil, "failed to get ssl cert: ssl id [" .. id .. "] not exits"
    elseif value.type ~= "client" then
        return nil, "failed to get ssl cert: ssl type should be 'client'"
    elseif secret.has_secret_ref(value) then
        return secret.fetch_secrets(value, true) or value
    end
    return value
end

local function show(cert, key)
    if not cert or not key then
        return UNAVAILABLE, "missing client certificate or key for upstream mTLS"
    end
    local chain, err = ssl.fetch_cert(nil, cert)
    if not chain then
        return UNAVAILABLE, "failed to parse the upstream's client certificate: " .. err
    end
    local parsed
    parsed, err = ssl.fetch_pkey(nil, key)
    if not parsed then
        return UNAVAILABLE, "failed to parse the key of the upstream's client certificate: " .. err
    end
    require("resty.apisix.upstream").set_cert_and_key(chain, parsed)
end

-- Have a request to this upstream show its certificate; the item of /ssls goes into api_ctx.upstream_ssl.
-- speaks_tls: is the scheme one of TLS? An id is looked up without it too, as APISIX does.
-- Returns nothing, or a status and the reason.
function _M.set(api_ctx, tls, speaks_tls)
    local id = tls.client_cert_id
    if id then
        local value, err = find(id)
        if not value then
            return BAD_GATEWAY, err
        end
        api_ctx.upstream_ssl = value
        if speaks_tls then
            return show(value.cert, value.key)
        end
    elseif speaks_tls and tls.client_cert then
        return show(tls.client_cert, tls.client_key)
    end
end

return _M
