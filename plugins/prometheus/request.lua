-- Owns what is counted of a request when it is over. On the path of every request: values are put into the same
-- tables again and again. Part of the plugin prometheus.
local core = require "apisix.core"
local labels = require "apisix.plugins.prometheus.labels"
local latencies = require("apisix.utils.log-util").latency_details_in_ms
local llm = require "apisix.plugins.prometheus.llm"
local metrics = require("apisix.exported_metrics").metrics
local service_fetch = require("apisix.http.service").get

local complete, is_plain, model = labels.complete, labels.is_plain, labels.model
local response_source = core.response.get_response_source

local _M = {}

local status, latency, bandwidth = {}, {}, {}

-- Returns the labels route and service: names if these are preferred, else ids.
local function place(conf, ctx)
    local route = ctx.matched_route and ctx.matched_route.value
    if not route then
        return "", ""
    end
    local service = route.service_id or ""
    if not conf.prefer_name then
        return route.id, service
    end
    local found = service ~= "" and service_fetch(service)
    return route.name or route.id, found and found.value.name or service
end

local function count_status(ctx, var, at)
    local matched = ctx.curr_req_matched
    local v = status
    v[1], v[2], v[3] = var.status, at[2], matched and matched._path or ""
    v[4], v[5], v[6] = matched and matched._host or "", at[3], at[4]
    v[7], v[8], v[9], v[10], v[11] = at[5], at[6], at[7], at[8], response_source(ctx)
    metrics.http_status:inc(1, complete("http_status", v, ctx))
end

-- The values of the two metrics that have a type and the same labels else. Returns them complete.
local function typed(metric, values, at, ctx)
    for i = 2, 8 do
        values[i] = at[i]
    end
    return is_plain(metric) and values or complete(metric, values, ctx)
end

local function observe_latency(ctx, at)
    local all, upstream, own = latencies(ctx)
    local metric, v = metrics.http_latency, typed("http_latency", latency, at, ctx)
    v[1] = "request"
    metric:observe(all, v)
    if upstream then
        v[1] = "upstream"
        metric:observe(upstream, v)
    end
    v[1] = "apisix"
    metric:observe(own, v)
end

local function count_bandwidth(ctx, var, at)
    local metric, v = metrics.bandwidth, typed("bandwidth", bandwidth, at, ctx)
    v[1] = "ingress"
    metric:inc(var.request_length, v)
    v[1] = "egress"
    metric:inc(var.bytes_sent, v)
end

local at = {} -- (type), route, service, consumer, node, request_type, request_llm_model, llm_model

-- Count the request that is over.
function _M.log(conf, ctx)
    if not metrics.http_status then -- the plugin was not there when the worker started
        return
    end
    local var = ctx.var
    labels.refresh()
    at[2], at[3] = place(conf, ctx)
    at[4], at[5] = ctx.consumer_name or "", ctx.balancer_ip or ""
    at[6], at[7], at[8] = var.request_type, model(var.request_llm_model), model(var.llm_model)
    count_status(ctx, var, at)
    observe_latency(ctx, at)
    count_bandwidth(ctx, var, at)
    if at[6] == "ai_stream" or at[6] == "ai_chat" then
        llm.count(ctx, var, at)
    end
    if ctx.ai_cache_status or ctx.ai_cache_embedding_latency then
        llm.count_cache(ctx)
    end
end

return _M
