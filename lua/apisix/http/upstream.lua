-- Owns the end of the access phase: the upstream of the request, its first server, what the upstream is
-- told, and before_proxy. Mirrors handle_upstream of apisix.
local balancer = require "apisix.balancer"
local core = require "apisix.core"
local nodes = require "apisix.upstream.nodes"
local upstream = require "apisix.upstream"

local exit = core.response.exit

local _M = {}

-- The upstream by id (a plugin's wins), or the one inside the route.
local function match_upstream(api_ctx, route)
    local value = route.value
    local id = api_ctx.upstream_id or value.upstream_id
    if id then
        return upstream.get_by_id(id)
    end
    local inside = value.upstream
    if inside and inside.dns_nodes then
        nodes.resolve(inside)
    end
    return inside
end

local function pass_host(api_ctx, server)
    local up_conf = api_ctx.upstream_conf
    if up_conf.pass_host then
        api_ctx.pass_host = up_conf.pass_host
        api_ctx.upstream_host = up_conf.upstream_host
    end
    local mode = api_ctx.pass_host
    if mode == "rewrite" then
        api_ctx.var.upstream_host = api_ctx.upstream_host
    elseif mode == "node" then
        api_ctx.var.upstream_host = server.upstream_host
    end
end

local function allow_upgrade(api_ctx)
    local var = api_ctx.var
    var.upstream_upgrade = var.http_upgrade
    var.upstream_connection = var.http_connection
end

-- Choose the upstream and the first server of a request and run before_proxy. run_plugins(phase): runs a
-- phase of global rules and plugins. Does not return when the request is answered here.
function _M.handle(api_ctx, route, enable_websocket, run_plugins)
    if api_ctx.bypass_nginx_upstream then
        run_plugins("before_proxy") -- a plugin there talks to the upstream itself
        return
    end
    local by_id = api_ctx.upstream_id or route.value.upstream_id
    api_ctx.matched_upstream = match_upstream(api_ctx, route)
    if by_id and not api_ctx.matched_upstream then
        return exit(502)
    end
    if enable_websocket then
        allow_upgrade(api_ctx)
    end
    local code, err = upstream.set_by_route(route, api_ctx)
    if code then
        core.log.error("failed to set upstream: ", err)
        return exit(code)
    end
    local server
    server, err = balancer.pick_server(route, api_ctx)
    if not server then
        core.log.error("failed to pick server: ", err)
        return exit(502)
    end
    api_ctx.picked_server = server
    pass_host(api_ctx, server)
    run_plugins("before_proxy")
    if not api_ctx._resp_source then
        api_ctx._apisix_proxied = true
    end
end

return _M
