-- Owns the choice of a certificate among the items of /ssls by the name that a client asks for. A name is looked up as
-- it is, then as "*.parent", then as "*"; a wildcard stands for one label. Mirrors apisix.ssl.router.radixtree_sni.
local apisix_ssl = require "apisix.ssl"
local config_util = require "apisix.core.config_util"
local core = require "apisix.core"
local ngx_ssl = require "ngx.ssl"
local secret = require "apisix.secret"

local error = error
local gsub = string.gsub
local ipairs = ipairs
local lower = string.lower
local match = string.match
local tostring = tostring
local type = type

local NO_SNI = "please check if the client requests via IP or uses an outdated protocol. If you need to report an "
    .. "issue, provide a packet capture file of the TLS handshake."

local ssls
local by_name, built_from = {}, nil -- name -> {item, names as configured}

local _M = { version = 0.1, server_name = ngx_ssl.server_name }

local function names_of(value)
    return value.snis and #value.snis > 0 and value.snis or { value.sni }
end

local function build(items)
    local index = {}
    for _, item in config_util.iterate_values(items) do
        local value = item.value
        if value and value.type == "server" and value.status ~= 0 then
            for _, name in ipairs(names_of(value)) do
                index[name] = index[name] or { item = item, name = name }
            end
        end
    end
    return index
end

local function find(name)
    if built_from ~= ssls.conf_version then
        by_name, built_from = build(ssls.values), ssls.conf_version
    end
    local parent = match(name, "^[^.]*%.(.*)$")
    return by_name[name] or parent and by_name["*." .. parent] or by_name["*"]
end

-- Give the connection this certificate (PEM) and key (PEM or as stored). Returns true, or false, err.
local function set_pem_ssl_key(name, cert, key)
    local chain, err = apisix_ssl.fetch_cert(name, cert)
    if not chain then
        return false, "failed to parse PEM cert: " .. err
    end
    local ok
    ok, err = ngx_ssl.set_cert(chain)
    if not ok then
        return false, "failed to set PEM cert: " .. err
    end
    local parsed
    parsed, err = apisix_ssl.fetch_pkey(name, key)
    if not parsed then
        return false, "failed to parse PEM priv key: " .. err
    end
    ok, err = ngx_ssl.set_priv_key(parsed)
    if not ok then
        return false, "failed to set PEM priv key: " .. err
    end
    return true
end
_M.set_pem_ssl_key = set_pem_ssl_key

-- Give the connection all certificates of an item's value. Plugins may put a function of their own here.
function _M.set_cert_and_key(name, value)
    local ok, err = set_pem_ssl_key(name, value.cert, value.key)
    for i, cert in ipairs(value.certs or {}) do
        if not ok then
            break
        end
        ok, err = set_pem_ssl_key(name, cert, value.keys[i])
    end
    return ok, err
end

local function asked_name(name)
    local err
    if not name then
        name, err = apisix_ssl.server_name()
    end
    if type(name) ~= "string" then
        return nil, "failed to find SNI: " .. (err or NO_SNI)
    end
    return name
end

-- Find the item for a name (default: what the client asked for); it goes into api_ctx.matched_ssl, and is put in force
-- unless match_only. Returns true, or false and an error when there is more to say than that there is none.
function _M.match_and_set(api_ctx, match_only, alt_sni)
    local name, err = asked_name(alt_sni)
    if not name then
        return false, err
    end
    local found = find(name)
    if not found then
        if not alt_sni then
            core.log.error("failed to find any SSL certificate by SNI: ", name)
        end
        return false
    end
    api_ctx.matched_ssl, api_ctx.matched_sni = found.item, found.name
    if match_only then
        return true
    end
    return _M.set(found.item, name)
end

local function ask_for_certificate(name, client)
    local authorities, err = apisix_ssl.fetch_cert(name, client.ca)
    if not authorities then
        return false, "failed to parse client cert: " .. err
    end
    local reject_in_handshake = client.skip_mtls_uri_regex == nil
    return ngx_ssl.verify_client(authorities, client.depth, nil, reject_in_handshake)
end

-- Put an item in force for the connection, with the demand for a client's certificate. Returns true, or false, err.
function _M.set(matched_ssl, sni)
    if not matched_ssl then
        return false, "failed to match ssl certificate"
    end
    local name, err = asked_name(sni)
    if not name then
        return false, err
    end
    ngx_ssl.clear_certs()
    local value = secret.fetch_secrets(matched_ssl.value, true) or matched_ssl.value
    local ok
    ok, err = _M.set_cert_and_key(name, value)
    if ok and value.client then
        ok, err = ask_for_certificate(name, value.client)
    end
    return ok or false, err
end

-- The items of /ssls and their version; nil before init_worker.
function _M.ssls()
    if not ssls then
        return nil, nil
    end
    return ssls.values, ssls.conf_version
end

local function plain_name(name)
    return lower((gsub(name, "%.$", "")))
end

local function filter(item)
    local value = item.value
    if not value then
        return
    end
    value.sni = value.sni and plain_name(value.sni)
    for i, name in ipairs(value.snis or {}) do
        value.snis[i] = plain_name(name)
    end
end

-- Begin to watch /ssls. Once per worker.
function _M.init_worker()
    local err
    ssls, err = core.config.new("/ssls", {
        automatic = true,
        item_schema = core.schema.ssl,
        checker = function(value)
            return apisix_ssl.check_ssl_conf(true, value)
        end,
        filter = filter,
    })
    if not ssls then
        error("failed to create etcd instance for fetching ssl certificates: " .. err)
    end
end

-- The value of the item of that id, or nil.
function _M.get_by_id(id)
    local object = core.config.fetch_created_obj("/ssls")
    local item = object and object:get(tostring(id))
    return item and item.value
end

return _M
