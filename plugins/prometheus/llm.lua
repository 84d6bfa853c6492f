-- Owns what is counted of requests to language models: their latencies, tokens, connections, and the cache before
-- them. Part of the plugin prometheus.
local labels = require "apisix.plugins.prometheus.labels"
local metrics = require("apisix.exported_metrics").metrics
local service_fetch = require("apisix.http.service").get

local complete, model = labels.complete, labels.model
local tonumber = tonumber

local CACHE_METRICS = {
    HIT = "ai_cache_hits_total", MISS = "ai_cache_misses_total", BYPASS = "ai_cache_bypasses_total",
}

local _M = {}

local function observe_latency(ctx, at, kind, value)
    local values = { kind, at[2], at[3], at[4], at[5], at[6], at[7], at[8] }
    metrics.llm_latency:observe(value, complete("llm_latency", values, ctx))
end

-- Only of served responses: an error has a time too, but no label tells it from them.
local function count_latency(ctx, var, at)
    local first = var.llm_time_to_first_token
    if first == "0" or (tonumber(var.status) or 0) >= 400 then
        return
    end
    observe_latency(ctx, at, "total", tonumber(var.apisix_upstream_response_time))
    if at[6] == "ai_stream" then -- else the first token comes with the last
        observe_latency(ctx, at, "ttft", tonumber(first))
    end
end

local function count_tokens(ctx, at, metric, value)
    local values = { at[2], at[3], at[4], at[5], at[6], at[7], at[8] }
    metrics[metric]:inc(value, complete(metric, values, ctx))
    values = { at[2], at[3], at[4], at[5], at[6], at[7], at[8] }
    metric = metric .. "_dist"
    metrics[metric]:observe(value, complete(metric, values, ctx))
end

-- at: values of labels, see apisix.plugins.prometheus.request.
function _M.count(ctx, var, at)
    count_latency(ctx, var, at)
    count_tokens(ctx, at, "llm_prompt_tokens", tonumber(var.llm_prompt_tokens))
    count_tokens(ctx, at, "llm_completion_tokens", tonumber(var.llm_completion_tokens))
end

-- Returns the route's name and id, the service's name and id; "" each where there is none.
local function place(ctx)
    local route = ctx.matched_route and ctx.matched_route.value
    if not route then
        return "", "", "", ""
    end
    local id = route.service_id or ""
    local service = id ~= "" and service_fetch(id)
    return route.name or "", route.id, service and service.value.name or "", id
end

local function cache_values(ctx)
    local var = ctx.var
    local route_name, route_id, service_name, service_id = place(ctx)
    return {
        route_name, route_id, service_name, service_id, ctx.consumer_name or "", ctx.balancer_ip or "",
        var.request_type, model(var.request_llm_model), model(var.llm_model),
    }
end

-- Count how the cache of answers has served a request.
function _M.count_cache(ctx)
    local metric = CACHE_METRICS[ctx.ai_cache_status]
    if metric then
        local values = cache_values(ctx)
        if ctx.ai_cache_status == "HIT" then
            table.insert(values, 1, ctx.ai_cache_hit_layer or "exact")
        end
        metrics[metric]:inc(1, complete(metric, values, ctx))
    end
    if ctx.ai_cache_embedding_latency then
        local values = complete("ai_cache_embedding_latency", cache_values(ctx), ctx)
        metrics.ai_cache_embedding_latency:observe(ctx.ai_cache_embedding_latency, values)
    end
end

-- A connection to a model begins (1) or ends (-1).
function _M.count_connection(ctx, change)
    local metric = metrics.llm_active_connections
    if not metric then
        return
    end
    labels.refresh()
    local var, matched = ctx.var, ctx.curr_req_matched
    local route_name, route_id, service_name, service_id = place(ctx)
    metric:inc(change, complete("llm_active_connections", {
        route_name, route_id, matched and matched._path or "", matched and matched._host or "",
        service_name, service_id, ctx.consumer_name or "", ctx.balancer_ip or "",
        var.request_type, model(var.request_llm_model), model(var.llm_model),
    }, ctx))
end

return _M
