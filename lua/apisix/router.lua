-- Owns the choice of the router and the preparing of routes for it. Mirrors apisix.router.
local core = require "apisix.core"
local plugin = require "apisix.plugin"
local upstream = require "apisix.upstream"

local ipairs = ipairs
local lower = string.lower
local require = require

local DEFAULT = "radixtree_host_uri"

local _M = { version = 0.3 }

local function lower_hosts(value)
    if value.host then
        value.host = lower(value.host)
        return
    end
    for i, host in ipairs(value.hosts or {}) do
        value.hosts[i] = lower(host)
    end
end

local function filter(route)
    route.orig_modifiedIndex = route.modifiedIndex
    route.has_domain = false
    if not route.value then
        return
    end
    plugin.set_plugins_meta_parent(route.value.plugins, route)
    lower_hosts(route.value)
    upstream.filter_upstream(route.value.upstream, route)
end

-- Start the router that config.yaml names (apisix.router.http).
function _M.http_init_worker()
    local name = core.table.try_read_attr(core.config.local_conf(), "apisix", "router", "http") or DEFAULT
    local router_http = require("apisix.http.router." .. name)
    router_http.init_worker(filter)
    _M.router_http = router_http
    _M.router_ssl = require "apisix.ssl.router.radixtree_sni"
    _M.api = require "apisix.api_router"
end

-- Returns the items of /routes and their version.
function _M.http_routes()
    local object = _M.router_http and _M.router_http.user_routes
    if not object then
        return nil, nil
    end
    return object.values, object.conf_version
end

-- Returns the items of /ssls and their version.
function _M.ssls()
    return _M.router_ssl.ssls()
end

-- The routes of TCP and UDP and their version: there are none.
function _M.stream_routes()
    return nil, nil
end

return _M
