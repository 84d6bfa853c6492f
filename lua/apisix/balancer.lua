-- Owns the balancing of a request: which server of its upstream, with which timeouts, and which next when
-- that one fails. How one is picked is the business of apisix/balancer/<type>.lua.
-- Mirrors apisix.balancer.
local balancer = require "ngx.balancer"
local core = require "apisix.core"
local health = require "apisix.upstream.health"
local nodes = require "apisix.upstream.nodes"
local priority_balancer = require "apisix.balancer.priority"

local ipairs = ipairs
local match = string.match
local ngx = ngx
local pcall = pcall
local require = require
local host_of = nodes.host_of

local _M = { version = 0.2, name = "balancer" }

local pickers = core.lrucache.new({ ttl = 300, count = 256 })

local function group_by_priority(list)
    local groups = { _priority_index = {} }
    for _, node in ipairs(list) do
        if not groups[node.priority] then
            groups[node.priority] = {}
            core.table.insert(groups._priority_index, node.priority)
        end
        groups[node.priority][node.host .. ":" .. node.port] = node.weight
    end
    return groups
end

local function create_picker(upstream, checker)
    local ok, module = pcall(require, "apisix.balancer." .. upstream.type)
    if not ok then
        return nil, "invalid balancer type: " .. upstream.type .. ": " .. match(module, "^[^\n]*")
    end
    local groups = group_by_priority(checker and health.usable_nodes(upstream, checker) or upstream.nodes)
    local priorities = groups._priority_index
    local picker, err
    if #priorities > 1 then
        picker, err = priority_balancer.new(groups, upstream, module)
    else
        picker, err = module.new(groups[priorities[1]], upstream, priorities[1])
    end
    if not picker then
        return nil, err
    end
    local servers = {} -- what get() returns -> node
    for _, node in ipairs(upstream.nodes) do
        servers[node.host .. ":" .. node.port] = node
    end
    picker.servers = servers
    return picker
end

local function note(ctx, node)
    ctx.balancer_ip = node.host
    ctx.balancer_port = node.port
    local name = node.domain or node.host
    ctx.upstream_unresolved_host = name
    ctx.var.upstream_unresolved_host = name
    host_of(node, ctx.upstream_scheme)
    return node
end

-- A try has failed: the server is let go of, and what became of it is told.
local function leave_server(ctx, up_conf)
    local picker = ctx.server_picker
    if picker and picker.after_balance then
        picker.after_balance(ctx, #up_conf.nodes > 1) -- an only server is tried again
    end
    if ctx.up_checker then
        health.report_failure(ctx, up_conf, balancer.get_last_failure())
    end
end

-- The whole request has one picker.
local function picker_of(ctx, up_conf, checker)
    if ctx.server_picker then
        return ctx.server_picker
    end
    local version = ctx.upstream_version
    if checker and up_conf.type ~= "chash" then
        return pickers(ctx.upstream_key, version .. "#" .. checker.status_ver, create_picker, up_conf, checker)
    end
    return pickers(ctx.upstream_key, version, create_picker, up_conf)
end

-- The ring of consistent hashing holds all servers, so that keys stay where they are; those unhealthy are
-- passed over. Returns a server, or nil, err.
local function get_server(ctx, up_conf, picker, checker)
    local is_healthy = checker and up_conf.type == "chash" and health.status(ctx, up_conf, checker)
    if not is_healthy then
        return picker.get(ctx)
    end
    for _ = 1, #up_conf.nodes do
        local server, err = picker.get(ctx)
        if not server or is_healthy[server] then
            return server, err
        end
        ctx.balancer_server = server
        picker.after_balance(ctx, true)
    end
    return nil, "all upstream servers tried"
end

local function pick_by_balancer(ctx, up_conf)
    local tries = (ctx.balancer_try_count or 0) + 1
    ctx.balancer_try_count = tries
    if tries > 1 then
        leave_server(ctx, up_conf)
    end
    local checker = ctx.up_checker
    local picker, err = picker_of(ctx, up_conf, checker)
    if not picker then
        return nil, "failed to fetch server picker: " .. err
    end
    local server
    server, err = get_server(ctx, up_conf, picker, checker)
    if not server then
        return nil, "failed to find valid upstream server, " .. (err or "no valid upstream node")
    end
    ctx.balancer_server = server
    ctx.server_picker = picker
    return note(ctx, picker.servers[server])
end

-- Pick a server of ctx.upstream_conf: in the access phase the first, in the balancer phase those of the
-- retries. Returns a node (host, port, upstream_host, …), or nil and the reason.
function _M.pick_server(_, ctx)
    local up_conf = ctx.upstream_conf
    local list = up_conf.nodes
    if #list == 1 and up_conf.type ~= "least_conn" then -- that one counts what is in flight
        return note(ctx, list[1])
    end
    return pick_by_balancer(ctx, up_conf)
end

local function set_timeouts(route, up_conf)
    local timeout = route and route.value.timeout or up_conf.timeout
    if not timeout then
        return
    end
    local ok, err = balancer.set_timeouts(timeout.connect, timeout.send, timeout.read)
    if not ok then
        core.log.error("could not set upstream timeouts: ", err)
    end
end

-- Once per request, before the first try.
local function set_options(route, ctx)
    local up_conf = ctx.upstream_conf
    set_timeouts(route, up_conf)
    local retries = up_conf.retries
    if not retries or retries < 0 then
        retries = #up_conf.nodes - 1
    end
    if retries <= 0 then
        return
    end
    if up_conf.retry_timeout and up_conf.retry_timeout > 0 then
        ctx.proxy_retry_deadline = ngx.now() + up_conf.retry_timeout
    end
    local ok, err = balancer.set_more_tries(retries)
    if not ok then
        core.log.error("could not set upstream retries: ", err)
    end
end

-- The server of a retry, or nil and the reason. Plugins see before_proxy once more.
local function retry(route, ctx, run_plugins)
    local deadline = ctx.proxy_retry_deadline
    if deadline and deadline < ngx.now() then
        return nil, "proxy retry timeout, retry count: " .. (ctx.balancer_try_count or 1) - 1
            .. ", deadline: " .. deadline .. " now: " .. ngx.now()
    end
    local server, err = _M.pick_server(route, ctx)
    if not server then
        return nil, "failed to pick server: " .. err
    end
    local changed = ctx.pass_host == "node" and server.upstream_host ~= ctx.var.upstream_host
    if changed then
        ctx.var.upstream_host = server.upstream_host
    end
    local _, run = run_plugins("before_proxy")
    if run or changed then
        balancer.recreate_request()
    end
    return server
end

-- The balancer phase. run_plugins(phase) runs a phase of the request's plugins.
function _M.run(route, ctx, run_plugins)
    local server, ok, err = ctx.picked_server
    if server then
        ctx.picked_server = nil
        set_options(route, ctx)
    else
        server, err = retry(route, ctx, run_plugins)
        if not server then
            core.log.error(err)
            return core.response.exit(502)
        end
    end
    ok, err = balancer.set_current_peer(server.host, server.port)
    if not ok then
        core.log.error("failed to set server peer [", server.host, ":", server.port, "] err: ", err)
        return core.response.exit(502)
    end
    ctx.proxy_passed = true
end

-- The request is over: release the server that it held, and tell its health.
function _M.release(ctx)
    if ctx.up_checker then
        health.report_status(ctx, ctx.upstream_conf, ngx.status)
    end
    local picker = ctx.server_picker
    if picker and picker.after_balance then
        picker.after_balance(ctx, false)
    end
end

return _M
