-- Owns the boot of an unmodified APISIX as an application of pygw: it calls APISIX's own entry points where
-- its nginx.conf would, and declares the variables which that file sets. Must hold nothing of APISIX itself.
require "resty.core"
local apisix = require "apisix"
local connection = require "server.http.connection"

-- What the `set` directives of APISIX's location "/" say; nginx evaluates them before the access phase.
local function set_variables()
    local var = ngx.var
    var.upstream_host = var.http_host or ""
    var.var_x_forwarded_proto = var.scheme
    var.var_x_forwarded_host = var.host
    var.var_x_forwarded_port = var.server_port
end

local VARIABLES = {
    upstream_mirror_host = "", upstream_mirror_uri = "", upstream_upgrade = "", upstream_connection = "",
    upstream_scheme = "http", upstream_host = "", upstream_uri = "", ctx_ref = "",
    upstream_cache_zone = "off", upstream_cache_key = "", upstream_cache_bypass = "", upstream_no_cache = "",
    var_x_forwarded_proto = "", var_x_forwarded_host = "", var_x_forwarded_port = "",
}

local proxied = {
    path = "/",
    rewrite = set_variables,
    access = apisix.http_access_phase,
    balancer = apisix.http_balancer_phase,
    header_filter = apisix.http_header_filter_phase,
    body_filter = apisix.http_body_filter_phase,
    log = apisix.http_log_phase,
    proxy = {
        scheme = "$upstream_scheme",
        uri = "$upstream_uri",
        set_header = {
            { "Host", "$upstream_host" },
            { "Upgrade", "$upstream_upgrade" },
            { "Connection", "$upstream_connection" },
            { "X-Real-IP", "$remote_addr" },
            { "X-Forwarded-For", "$proxy_add_x_forwarded_for" },
            { "X-Forwarded-Proto", "$var_x_forwarded_proto" },
            { "X-Forwarded-Host", "$var_x_forwarded_host" },
            { "X-Forwarded-Port", "$var_x_forwarded_port" },
        },
    },
}

local function metrics()
    return require("apisix.plugins.prometheus.exporter").export_metrics()
end

-- What nginx's stub_status prints, which APISIX's exporter reads.
local function stub_status()
    local active, waiting = connection.count()
    ngx.print("Active connections: ", active, " \nserver accepts handled requests\n ", active, " ", active, " ", active,
        " \nReading: 0 Writing: ", active - waiting, " Waiting: ", waiting, " \n")
end

local status = { path = "/apisix/nginx_status", match = "exact", content = stub_status }

-- The listeners, in the order of node_listen: requests, the Admin API, the control API, the metrics.
return {
    init = function()
        apisix.http_init({ dns_resolver = {} })
        require("apisix.constants").apisix_lua_home = os.getenv("PYGW_TEST_APISIX_TREE")
    end,
    init_worker = apisix.http_init_worker,
    exit_worker = apisix.http_exit_worker,
    variables = VARIABLES,
    servers = {
        {
            listeners = { 1 },
            ssl_client_hello = apisix.http_ssl_client_hello_phase,
            ssl_certificate = apisix.http_ssl_phase,
            locations = { status, proxied },
        },
        { listeners = { 2 }, locations = { { path = "/apisix/admin", content = apisix.http_admin } } },
        { listeners = { 3 }, content = apisix.http_control },
        { listeners = { 4 }, locations = { status, { path = "/", content = metrics } } },
    },
}
