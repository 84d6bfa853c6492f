-- Owns what an upstream's health checks mean to requests: which nodes may be picked, and what a request tells of the
-- node that it had. checker: of apisix.healthcheck_manager. Must never probe.
local core = require "apisix.core"
local manager = require "apisix.healthcheck_manager"

local array_find = core.table.array_find
local ipairs = ipairs

local _M = {}

local statuses = core.lrucache.new({ ttl = 300, count = 256 })

-- The host and the port that checks of a node go by, where they are not the node's own.
local function of_active(up_conf)
    local active = up_conf.checks and up_conf.checks.active
    if active then
        return active.host, active.port
    end
end

-- Returns "host:port" -> whether it is healthy; false when none is: then all are used.
local function create_status(up_conf, checker)
    local host, port = of_active(up_conf)
    local status, is_any = {}, false
    for _, node in ipairs(up_conf.nodes) do
        local ok, err = manager.fetch_node_status(checker, node.host, port or node.port, host)
        status[node.host .. ":" .. node.port] = ok or false
        is_any = is_any or ok
        if err then
            core.log.warn("failed to get health check target status, addr: ", node.host, ":", port or node.port,
                ", host: ", host, ", err: ", err)
        end
    end
    if not is_any then
        core.log.warn("all upstream nodes is unhealthy, use default")
        return false
    end
    return status
end

-- "host:port" -> whether it is healthy, as of now; nil when all are to be used.
function _M.status(ctx, up_conf, checker)
    local version = ctx.upstream_version .. "#" .. checker.status_ver
    return statuses(ctx.upstream_key, version, create_status, up_conf, checker) or nil
end

-- The nodes that are to be picked from: an array.
function _M.usable_nodes(up_conf, checker)
    local status = up_conf.type ~= "chash" and create_status(up_conf, checker)
    if not status then
        return up_conf.nodes
    end
    local usable = {}
    for _, node in ipairs(up_conf.nodes) do
        if status[node.host .. ":" .. node.port] then
            usable[#usable + 1] = node
        end
    end
    return usable
end

-- A try of the request has failed. state, code: of ngx.balancer's get_last_failure.
function _M.report_failure(ctx, up_conf, state, code)
    local checker = ctx.up_checker
    local host, port = of_active(up_conf)
    port = port or ctx.balancer_port
    if state ~= "failed" then
        checker:report_http_status(ctx.balancer_ip, port, host, code)
    elseif code == 504 then
        checker:report_timeout(ctx.balancer_ip, port, host)
    else
        checker:report_tcp_failure(ctx.balancer_ip, port, host)
    end
end

local function is_listed(side, status)
    return side and side.http_statuses and array_find(side.http_statuses, status)
end

-- The request is over with a status; only passive checks look at it, and only at those that they name.
function _M.report_status(ctx, up_conf, status)
    local passive = up_conf.checks and up_conf.checks.passive
    if passive and ctx.balancer_ip and (is_listed(passive.healthy, status) or is_listed(passive.unhealthy, status)) then
        local host, port = of_active(up_conf)
        ctx.up_checker:report_http_status(ctx.balancer_ip, port or ctx.balancer_port, host, status)
    end
end

return _M
