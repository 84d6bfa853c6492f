-- Owns what is told of the node itself, looked up when the metrics are put together: connections, shared
-- dictionaries, how far the configuration has come, the health of upstreams. Part of the plugin prometheus.
local core = require "apisix.core"
local metrics = require("apisix.exported_metrics").metrics
local stats = require "server.stats"

local ipairs = ipairs
local ngx = ngx
local pairs = pairs
local pcall = pcall
local require = require
local tonumber = tonumber
local type = type

local STATES = { "active", "accepted", "handled", "reading", "writing", "waiting" }

local _M = {}

local function connections()
    for _, state in ipairs(STATES) do
        metrics.connections:set(stats.total(state), { state })
    end
    metrics.requests:set(stats.total("requests"))
end

local function shared_dicts()
    for name, dict in pairs(ngx.shared) do
        metrics.shared_dict_capacity_bytes:set(dict:capacity(), { name })
        metrics.shared_dict_free_space_bytes:set(dict:free_space(), { name })
    end
end

-- name -> function() -> items; those of modules that are not here have none.
local function source(module, name)
    return function()
        local ok, found = pcall(require, module)
        local fn = ok and found[name]
        return fn and fn()
    end
end

local SOURCES = {
    routes = source("apisix.router", "http_routes"),
    services = source("apisix.http.service", "services"),
    ssls = source("apisix.router", "ssls"),
    consumers = source("apisix.consumer", "consumers"),
    global_rules = source("apisix.global_rules", "global_rules"),
    upstreams = source("apisix.upstream", "upstreams"),
    stream_routes = source("apisix.router", "stream_routes"),
    protos = source("apisix.plugins.grpc-transcode.proto", "protos"),
}

local function greatest_index(items)
    local greatest = 0
    for _, item in ipairs(type(items) == "table" and items or {}) do
        local index = type(item) == "table" and (item.orig_modifiedIndex or item.modifiedIndex)
        index = tonumber(index) or 0
        greatest = index > greatest and index or greatest
    end
    return greatest
end

local function modify_indexes()
    local greatest = 0
    for name, items in pairs(SOURCES) do
        local index = greatest_index(items())
        metrics.etcd_modify_indexes:set(index, { name })
        greatest = index > greatest and index or greatest
    end
    metrics.etcd_modify_indexes:set(greatest, { "max_modify_index" })
    local rules = require "apisix.global_rules"
    if rules.global_rules() then
        metrics.etcd_modify_indexes:set(rules.get_pre_index() or 0, { "prev_index" })
    end
end

-- Whether the store answers, and its revision: asking for a key that is not there costs it least.
local function reach_store()
    local config = core.config.new()
    local version, err = config:server_version()
    metrics.etcd_reachable:set(version and 1 or 0)
    if not version then
        core.log.error("prometheus: failed to reach config server while processing metrics endpoint: ", err)
        return
    end
    local found = config:getkey("/phantomkey")
    local index = found and found.headers and tonumber(found.headers["X-Etcd-Index"])
    if index then
        metrics.etcd_modify_indexes:set(index, { "x_etcd_index" })
    end
end

local function upstream_status()
    local ok, control = pcall(require, "apisix.control.v1")
    for _, checker in ipairs(ok and control.get_health_checkers() or {}) do
        for _, node in ipairs(checker.nodes) do
            local is_healthy = node.status == "healthy" or node.status == "mostly_healthy"
            metrics.upstream_status:set(is_healthy and 1 or 0, { checker.name, node.ip, node.port })
        end
    end
end

-- Set all gauges of the node. may_wait: whether the store may be asked.
function _M.collect(may_wait)
    shared_dicts()
    connections()
    if core.config.type == "etcd" then
        modify_indexes()
        if may_wait then
            reach_store()
        end
    end
    metrics.node_info:set(1, { core.utils.gethostname() or "", core.version.VERSION })
    upstream_status()
end

return _M
