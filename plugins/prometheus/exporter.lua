-- Owns the export of metrics: their start, the text that is put together now and then by one process for all, and
-- the answers to those who ask for it. Required by name by other plugins. Mirrors apisix.plugins.prometheus.exporter,
-- its stream half left out.
local base = require "prometheus"
local core = require "apisix.core"
local labels = require "apisix.plugins.prometheus.labels"
local llm = require "apisix.plugins.prometheus.llm"
local metrics = require "apisix.plugins.prometheus.metrics"
local node = require "apisix.plugins.prometheus.node"
local plugin = require "apisix.plugin"
local process = require "ngx.process"
local request = require "apisix.plugins.prometheus.request"
local state = require "apisix.exported_metrics"

local concat = table.concat
local error = error
local ngx = ngx
local pcall = pcall

local NAME, DICT, CACHE, KEY = "prometheus", "prometheus-metrics", "prometheus-cache", "cached_metrics_text"
local EXPORT_URI = "/apisix/prometheus/metrics"
local REFRESH_INTERVAL = 15 -- seconds

local cache = ngx.shared[CACHE]
if not cache then
    error('lua_shared_dict "prometheus-cache" not configured')
end

local _M = { metric_label_map = labels.map, structural_labels = labels.structural, http_log = request.log }

local function attributes()
    return plugin.plugin_attr(NAME) or {}
end

-- Make the metrics ready, in init_worker; later, when code is loaded anew, those that are there are taken up again.
function _M.http_init()
    local phase = ngx.get_phase()
    local attr = attributes()
    if state.prometheus or phase ~= "init" and phase ~= "init_worker" then
        state.active = state.prometheus ~= nil
        for name in pairs(labels.map) do
            labels.names(name, attr)
        end
        return
    end
    state.prometheus = base.init(DICT, attr.metric_prefix or "apisix_")
    state.active = true
    metrics.register(state.prometheus, attr, state.metrics)
end

local is_collecting = false

local function keep(text, lifetime)
    local _, err, forcible = cache:set(KEY, text, lifetime)
    if err then
        core.log.error("Failed to save metrics to the `prometheus-cache` shared dict: ", err,
            ". The size of the value being attempted to be saved is: ", #text)
    end
    if forcible then
        core.log.error("Shared dictionary used for prometheus cache is full. REPORTED METRIC DATA MIGHT BE ",
            "INCOMPLETE. Please increase the size of the `prometheus-cache` shared dict or decrease metric ",
            "cardinality.")
    end
end

local function put_together(may_wait)
    node.collect(may_wait)
    return concat(state.prometheus:metric_data())
end

local function refresh(premature, may_wait, lifetime)
    if premature or not state.active then
        return
    end
    if is_collecting then
        core.log.warn("Previous calculation still running, skipping")
        return
    end
    is_collecting = true
    local ok, text = pcall(put_together, may_wait)
    is_collecting = false
    if not ok then
        core.log.error("Failed to collect metrics: ", text)
        return
    end
    keep(text, lifetime)
end

-- Have the text put together now and at intervals, by the privileged agent, or by the only process.
function _M.init_exporter_timer()
    local kind = process.type()
    if kind ~= "privileged agent" and kind ~= "single" then
        return
    end
    local interval = attributes().refresh_interval or REFRESH_INTERVAL
    local lifetime = interval * 2 -- what is older is worse than nothing
    refresh(false, false, lifetime)
    if state.timer then
        return
    end
    local ok, err = ngx.timer.every(interval, refresh, true, lifetime)
    if not ok then
        core.log.error("Failed to start the exporter timer: ", err)
        return
    end
    state.timer = true
end

local function answer()
    if not state.active then
        core.log.error("prometheus: plugin is not initialized, please make sure ",
            " 'prometheus_metrics' shared dict is present in nginx template")
        return 500, { message = "An unexpected error occurred" }
    end
    core.response.set_header("content_type", "text/plain")
    local text, err = cache:get(KEY)
    if text then
        return 200, text
    end
    core.log.error("Failed to retrieve cached metrics: ", err and "err: " .. err or "data is nil")
    return 500, { message = "Failed to retrieve metrics" .. (err and ". err: " .. err or ": no data available") }
end

-- The API of the metrics; for the plugin (called_by_api_router), as an array, empty when they have a server of
-- their own.
function _M.get_api(called_by_api_router)
    local attr = attributes()
    local api = { methods = { "GET" }, uri = attr.export_uri or EXPORT_URI, handler = answer }
    if not called_by_api_router then
        return api
    end
    return attr.enable_export_server and {} or { api }
end

-- Answer a request to the server of the metrics.
function _M.export_metrics()
    if not state.active then
        return core.response.exit(200, "{}")
    end
    local api = _M.get_api(false)
    if ngx.var.uri == api.uri and ngx.req.get_method() == "GET" then
        return core.response.exit(api.handler())
    end
    return core.response.exit(404)
end

function _M.metric_data()
    return state.prometheus:metric_data()
end

function _M.inc_llm_active_connections(ctx)
    return llm.count_connection(ctx, 1)
end

function _M.dec_llm_active_connections(ctx)
    return llm.count_connection(ctx, -1)
end

-- The registry, to add metrics to; nil as long as the plugin is not loaded.
function _M.get_prometheus()
    return state.active and state.prometheus or nil
end

-- The gauge of apisix.utils.batch-processor.
function _M.batch_process_entries()
    return state.metrics.batch_process_entries
end

-- Metrics are not shown any more; what is counted stays.
function _M.destroy()
    state.active = false
end

return _M
