-- Owns the access phase up to the upstream: finds the route, merges what bears on it, runs the plugins'
-- rewrite and access. Mirrors http_access_phase of apisix.
local core = require "apisix.core"
local consumer_group = require "apisix.consumer_group"
local forwarded = require "apisix.http.forwarded"
local global_rules = require "apisix.global_rules"
local plugin = require "apisix.plugin"
local plugin_config = require "apisix.plugin_config"
local router = require "apisix.router"
local script = require "apisix.script"
local service = require "apisix.http.service"
local tls = require "apisix.http.tls"
local trace = require "apisix.plugin.trace"
local uri_options = require "apisix.http.uri"

local ngx = ngx
local exit = core.response.exit
local run_global_rules = plugin.run_global_rules
local run_plugin = plugin.run_plugin
local set_vars_meta = core.ctx.set_vars_meta

local options = {}

local _M = {}

function _M.init_worker()
    options = core.config.local_conf().apisix or {}
end

local function new_ctx()
    local ngx_ctx = ngx.ctx
    local api_ctx = core.tablepool.fetch("api_ctx", 0, 32)
    ngx_ctx.api_ctx = api_ctx
    api_ctx.ngx_ctx = ngx_ctx
    set_vars_meta(api_ctx)
    if trace.enabled then
        trace.start(api_ctx)
    end
    return api_ctx
end

-- From here on "request_uri" is the path after normalization, so that rules cannot be got round;
-- what the client sent is "real_request_uri".
local function settle_uri(api_ctx)
    local ok, err = uri_options.normalize(api_ctx, options)
    if not ok then
        core.log.error("failed to normalize: ", err)
        return exit(400)
    end
    local var = api_ctx.var
    var.real_request_uri = var.request_uri
    var.request_uri = var.uri .. var.is_args .. (var.args or "")
end

local function match_route(api_ctx)
    local var = api_ctx.var
    local with_slash = options.match_uri_encoded_slash
        and uri_options.with_encoded_slash(var.real_request_uri, var.uri)
    if not with_slash then
        return router.router_http.match(api_ctx)
    end
    local uri = var.uri -- plugins and the upstream never see the other one
    var.uri = with_slash
    router.router_http.match(api_ctx)
    var.uri = uri
end

local function not_found(api_ctx)
    local rules, version = global_rules.global_rules()
    run_global_rules(api_ctx, rules, version, "rewrite")
    run_global_rules(api_ctx, rules, version, "access")
    return exit(404, { error_msg = "404 Route Not Found" })
end

local function merge_plugin_config(api_ctx, route)
    local id = route.value.plugin_config_id
    local config = plugin_config.get(id)
    if not config then
        core.log.error("failed to fetch plugin config by id: ", id)
        return exit(503)
    end
    route = plugin_config.merge(route, config)
    api_ctx.matched_route = route
    return route
end

local function merge_service(api_ctx, route)
    local id = route.value.service_id
    local found = service.get(id)
    if not found then
        core.log.error("failed to fetch service configuration by id: ", id)
        return exit(404)
    end
    local merged, made = plugin.merge_service_route(found, route)
    api_ctx.matched_route = merged
    api_ctx.conf_type = "route&service"
    api_ctx.conf_version = made.version
    api_ctx.conf_id = made.id
    api_ctx.service_id = found.value.id
    api_ctx.service_name = found.value.name
    return merged
end

-- Returns the route with its plugin config and its service.
local function merge_route(api_ctx, route)
    if route.value.plugin_config_id then
        route = merge_plugin_config(api_ctx, route)
    end
    if route.value.service_id then
        route = merge_service(api_ctx, route)
    else
        api_ctx.conf_type = "route"
        api_ctx.conf_version = route.modifiedIndex
        api_ctx.conf_id = route.value.id
    end
    api_ctx.route_id = route.value.id
    api_ctx.route_name = route.value.name
    return route
end

local function group_of(consumer)
    local id = consumer.group_id
    if not id then
        return nil
    end
    local group = consumer_group.get(id)
    if not group then
        core.log.error("failed to fetch consumer group config by id: ", id)
        return exit(503)
    end
    return group
end

-- An authentication plugin has found out who calls: what that consumer brings along runs from here on.
local function merge_consumer(api_ctx, route)
    local consumer = api_ctx.consumer
    local merged, changed = plugin.merge_consumer_route(route, consumer, group_of(consumer), api_ctx)
    if not changed then
        return route
    end
    api_ctx.matched_route = merged
    api_ctx.plugins = plugin.plan_of(merged)
    run_plugin("rewrite_in_consumer", api_ctx.plugins, api_ctx)
    return merged
end

local function run_plugins(api_ctx, route, rules, version)
    api_ctx.plugins = plugin.plan_of(route)
    run_plugin("rewrite", api_ctx.plugins, api_ctx)
    if api_ctx.consumer then
        route = merge_consumer(api_ctx, route)
    end
    run_global_rules(api_ctx, rules, version, "access")
    run_plugin("access", api_ctx.plugins, api_ctx)
    return route
end

local function run_script(api_ctx, route, rules, version)
    script.load(route, api_ctx)
    run_global_rules(api_ctx, rules, version, "access")
    script.run("access", api_ctx)
    return route
end

-- Make the request's api_ctx and bring it to the point where its upstream is to be chosen. Returns api_ctx,
-- the merged route, and whether it may be upgraded to websocket; does not return when a plugin answers.
function _M.run()
    local api_ctx = new_ctx()
    if tls.enabled and api_ctx.var.scheme == "https" and not tls.verify_client(api_ctx) then
        return exit(400)
    end
    settle_uri(api_ctx)
    forwarded.settle(api_ctx)
    local var = api_ctx.var
    var.upstream_host = var.http_host
    match_route(api_ctx)
    local matched = api_ctx.matched_route
    if not matched then
        return not_found(api_ctx)
    end
    local route = merge_route(api_ctx, matched)
    local rules, version = global_rules.global_rules()
    run_global_rules(api_ctx, rules, version, "rewrite")
    local run = route.value.script and run_script or run_plugins
    route = run(api_ctx, route, rules, version)
    return api_ctx, route, route.value.enable_websocket
end

return _M
