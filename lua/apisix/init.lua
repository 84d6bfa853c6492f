-- Owns the phases of nginx as APISIX's functions, tied together. What a phase does stands in apisix/http/ and
-- apisix/plugin/; apisix/application.lua gives them to the server. Mirrors apisix (init.lua).
local access = require "apisix.http.access"
local balancer = require "apisix.balancer"
local consumer = require "apisix.consumer"
local consumer_group = require "apisix.consumer_group"
local core = require "apisix.core"
local discovery = require "apisix.discovery.init"
local debug = require "apisix.debug"
local global_rules = require "apisix.global_rules"
local hooks = require "apisix.hooks"
local http_upstream = require "apisix.http.upstream"
local plugin = require "apisix.plugin"
local plugin_config = require "apisix.plugin_config"
local process = require "ngx.process"
local response = require "apisix.http.response"
local roster = require "apisix.control.roster"
local router = require "apisix.router"
local script = require "apisix.script"
local secret = require "apisix.secret"
local service = require "apisix.http.service"
local timers = require "apisix.timers"
local tls = require "apisix.http.tls"
local trace = require "apisix.plugin.trace"
local trusted_addresses = require "apisix.utils.trusted-addresses"
local upstream = require "apisix.upstream"

local math = math
local ngx = ngx
local tablepool = core.tablepool
local balance = hooks.after_pick(balancer.run)
local run_global_rules = plugin.run_global_rules
local run_plugin = plugin.run_plugin

local _M = { version = 0.4 }

-- One phase of the global rules, then of the route's plugins. Returns the context, and whether any of the
-- route's plugins was run; nothing when there is no context (the request never came to a route).
local function common_phase(phase)
    local api_ctx = ngx.ctx.api_ctx
    if not api_ctx then
        return
    end
    local rules, version = global_rules.global_rules()
    run_global_rules(api_ctx, rules, version, phase)
    if api_ctx.script_obj then
        script.run(phase, api_ctx)
        return api_ctx, true
    end
    return run_plugin(phase, nil, api_ctx)
end

-- What a plugin has set (one that talks to its upstream itself), or else the proxy's. Asked for only by those
-- who log it, so that the others do not pay for a number made text.
core.ctx.register_var("apisix_upstream_response_time", function()
    local set = ngx.var.apisix_upstream_response_time
    return set ~= "" and set or ngx.var.upstream_response_time
end)

-- args: {dns_resolver = array of addresses}, optional.
function _M.http_init(args)
    local ok, err = process.enable_privileged_agent()
    if not ok then
        core.log.error("failed to enable the privileged agent: ", err)
    end
    core.resolver.init_resolver(args)
    core.id.init()
    core.env.init()
    if core.config.init then
        ok, err = core.config.init()
        if not ok then
            core.log.error("failed to load the configuration: ", err)
        end
    end
end

local function seed_random()
    local seed, err = core.utils.get_seed_from_urandom()
    if not seed then
        core.log.warn("failed to get seed from urandom: ", err)
        seed = ngx.now() * 1000 + ngx.worker.pid()
    end
    math.randomseed(seed)
end

local function init_config()
    if core.config.init_worker then
        local ok, err = core.config.init_worker()
        if not ok then
            core.log.error("failed to init worker process of ", core.config.type, " config center, err: ", err)
        end
    end
    roster.enter()
end

-- The text that is shown to Prometheus is put together by one process for all.
local function start_exporter()
    if plugin.get("prometheus") then
        require("server.stats").start()
        require("apisix.plugins.prometheus.exporter").init_exporter_timer()
    end
end

-- Whichever worker the Control API asks, all of them are told.
local function start_control()
    if core.table.try_read_attr(core.config.local_conf(), "apisix", "enable_control") then
        require("apisix.control.reload").init_worker()
    end
end

function _M.http_init_worker()
    seed_random()
    core.lrucache.init_worker()
    timers.init_worker()
    debug.init_worker()
    init_config()
    discovery.init_worker()
    plugin.add_source(require("server.python_objects").list)
    plugin.init_worker()
    router.http_init_worker()
    service.init_worker()
    plugin_config.init_worker()
    consumer.init_worker()
    consumer_group.init_worker()
    secret.init_worker()
    global_rules.init_worker()
    upstream.init_worker()
    tls.init_worker()
    trusted_addresses.init_worker()
    access.init_worker()
    response.init_worker()
    start_exporter()
    start_control()
    if core.config.started then
        core.config.started()
    end
end

function _M.ssl_client_hello_phase()
    return tls.client_hello_phase()
end

function _M.ssl_phase()
    return tls.certificate_phase()
end

function _M.http_exit_worker()
    if core.config.exit_worker then
        core.config.exit_worker()
    end
    plugin.exit_worker()
end

-- Settle where the request goes; see apisix.http.upstream.
function _M.handle_upstream(api_ctx, route, enable_websocket)
    return http_upstream.handle(api_ctx, route, enable_websocket, common_phase)
end

function _M.http_access_phase()
    local api_ctx, route, enable_websocket = access.run()
    return _M.handle_upstream(api_ctx, route, enable_websocket)
end

function _M.http_balancer_phase()
    local api_ctx = ngx.ctx.api_ctx
    if not api_ctx then
        core.log.error("invalid api_ctx")
        return core.response.exit(500)
    end
    return balance(api_ctx.matched_route, api_ctx, common_phase)
end

function _M.http_header_filter_phase()
    response.set_headers()
    local api_ctx = common_phase("header_filter")
    if api_ctx then
        response.set_trace(api_ctx)
        response.release_body(api_ctx)
    end
end

function _M.http_body_filter_phase()
    common_phase("body_filter")
    common_phase("delayed_body_filter")
end

local function release(api_ctx)
    balancer.release(api_ctx)
    core.ctx.release_vars(api_ctx)
    if api_ctx.curr_req_matched then
        tablepool.release("matched_route_record", api_ctx.curr_req_matched)
    end
    tablepool.release("api_ctx", api_ctx)
end

function _M.http_log_phase()
    local api_ctx = ngx.ctx.api_ctx
    if not api_ctx then
        return
    end
    common_phase("log")
    if trace.enabled then
        trace.stop(api_ctx)
    end
    release(api_ctx)
end

return _M
