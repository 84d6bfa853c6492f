-- Owns the gateway's part in TLS with clients: which certificate they see, by the items of /ssls, and whether they have
-- shown the one that is asked of them. Mirrors ssl_client_hello_phase, ssl_phase and verify_https_client of apisix.
local apisix_ssl = require "apisix.ssl"
local core = require "apisix.core"
local sni_router = require "apisix.ssl.router.radixtree_sni"

local ipairs = ipairs
local ngx = ngx
local re_find = ngx.re.find
local tablepool = core.tablepool

local has_own = false -- config.yaml names a certificate, for names without an item

local _M = { enabled = false }

-- Read config.yaml, watch /ssls.
function _M.init_worker()
    local conf = core.table.try_read_attr(core.config.local_conf(), "apisix", "ssl") or {}
    _M.enabled = conf.enable == true
    has_own = conf.ssl_cert ~= nil
    sni_router.init_worker()
end

local function refuse(...)
    core.log.error(...)
    return ngx.exit(-1)
end

local function match(name)
    local api_ctx = tablepool.fetch("api_ctx", 0, 32)
    local ok, err = sni_router.match_and_set(api_ctx, true, name)
    local found = api_ctx.matched_ssl
    tablepool.release("api_ctx", api_ctx)
    return ok and found, err
end

-- Find the item and let it say which versions of TLS are spoken.
function _M.client_hello_phase()
    local name, err = apisix_ssl.server_name(true)
    if not name then
        return not has_own and refuse("failed to find SNI: ", err or "the client asks for no name") or nil
    end
    local ctx = ngx.ctx
    ctx.tls_ext_status_req = apisix_ssl.get_status_request_ext()
    ctx.client_hello_sni = name
    local found
    found, err = match(name)
    if not found then
        return not has_own and refuse("failed to match any SSL certificate by SNI: ", name, err and ": " or "", err)
            or nil
    end
    ctx.matched_ssl = found
    local ok
    ok, err = apisix_ssl.set_protocols_by_clienthello(found.value.ssl_protocols)
    if not ok then
        return refuse("failed to set ssl protocols: ", err)
    end
end

-- Show the certificate.
function _M.certificate_phase()
    local found = ngx.ctx.matched_ssl
    if not found and has_own then
        return
    end
    local ok, err = sni_router.set(found)
    if not ok then
        return refuse("failed to fetch ssl config: ", err)
    end
end

local function has_verified(ctx)
    local verified = ctx.var.ssl_client_verify
    if verified == "SUCCESS" then
        return true
    elseif verified == "NONE" then
        core.log.error("client certificate was not present")
    else
        core.log.error("client certificate verification is not passed: ", verified)
    end
    return false
end

local function is_skipped(client, uri)
    for _, pattern in ipairs(client.skip_mtls_uri_regex) do
        if re_find(uri, pattern, "jo") then
            return true
        end
    end
    return false
end

-- A session may not be taken up for another name than the one that it was made for.
local function is_own_session()
    local name, err = apisix_ssl.session_hostname()
    if err then
        core.log.error("failed to get session hostname: ", err)
        return false
    elseif name and name ~= ngx.ctx.client_hello_sni then
        core.log.error("sni in client hello mismatch hostname of ssl session, sni: ", ngx.ctx.client_hello_sni,
            ", hostname: ", name)
        return false
    end
    return true
end

-- The item of the host that the request names asks for a certificate, too: that was not said to this name then.
local function is_host_allowed(ctx)
    local host = ctx.var.host
    local found = match(host)
    local client = found and found.value.client
    if not client then
        return true
    elseif client.skip_mtls_uri_regex and is_skipped(client, ctx.var.uri) then
        return true
    elseif not has_verified(ctx) then
        return false
    end
    local name = apisix_ssl.server_name()
    if name ~= host then
        core.log.error("client certificate verified with SNI ", name, ", but the host is ", host)
        return false
    end
    return is_own_session()
end

-- Has the client of a request over TLS shown the certificate that is asked of it?
function _M.verify_client(ctx)
    local found = ngx.ctx.matched_ssl
    local client = found and found.value.client
    if client and client.skip_mtls_uri_regex and not is_skipped(client, ctx.var.uri) and not has_verified(ctx) then
        return false
    end
    return is_host_allowed(ctx)
end

return _M
