-- Owns the list of metrics: their names, help texts, kinds, buckets. Part of the plugin prometheus.
local labels = require "apisix.plugins.prometheus.labels"

local ipairs = ipairs

local MS = { 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000 }
local TOKENS = {
    1, 10, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000,
}

-- Of the node: {short name, name, help, labels}
local GAUGES = {
    { "connections", "nginx_http_current_connections", "Number of HTTP connections", { "state" } },
    { "requests", "http_requests_total", "The total number of client requests since APISIX started" },
    { "etcd_reachable", "etcd_reachable", "Config server etcd reachable from APISIX, 0 is unreachable" },
    { "node_info", "node_info", "Info of APISIX node", { "hostname", "version" } },
    { "etcd_modify_indexes", "etcd_modify_indexes", "Etcd modify index for APISIX keys", { "key" } },
    { "shared_dict_capacity_bytes", "shared_dict_capacity_bytes",
        "The capacity of each nginx shared DICT since APISIX start", { "name" } },
    { "shared_dict_free_space_bytes", "shared_dict_free_space_bytes",
        "The free space of each nginx shared DICT since APISIX start", { "name" } },
    { "upstream_status", "upstream_status", "Upstream status from health check", { "name", "ip", "port" } },
    { "batch_process_entries", "batch_process_entries", "batch process remaining entries",
        { "name", "route_id", "server_addr" } },
}

-- Of requests: {name, kind, help, and for histograms their buckets and who in plugin_attr changes these}
local OF_REQUESTS = {
    { "http_status", "counter", "HTTP status codes per service in APISIX" },
    { "http_latency", "histogram", "HTTP request latency in milliseconds per service in APISIX", MS,
        "default_buckets" },
    { "bandwidth", "counter", "Total bandwidth in bytes consumed per service in APISIX" },
    { "llm_latency", "histogram", "LLM request latency in milliseconds", MS, "llm_latency_buckets" },
    { "llm_prompt_tokens", "counter", "LLM service consumed prompt tokens" },
    { "llm_completion_tokens", "counter", "LLM service consumed completion tokens" },
    { "llm_active_connections", "gauge", "Number of active connections to LLM service" },
    { "llm_prompt_tokens_dist", "histogram", "LLM prompt tokens distribution per request", TOKENS,
        "llm_prompt_tokens_buckets" },
    { "llm_completion_tokens_dist", "histogram", "LLM completion tokens distribution per request", TOKENS,
        "llm_completion_tokens_buckets" },
    { "ai_cache_hits_total", "counter", "Total AI cache hits served, per cache layer" },
    { "ai_cache_misses_total", "counter", "Total AI cache misses" },
    { "ai_cache_bypasses_total", "counter", "Total AI cache bypassed requests" },
    { "ai_cache_embedding_latency", "histogram", "Latency of AI cache embedding calls in milliseconds", MS,
        "ai_cache_embedding_latency_buckets" },
}

local _M = {}

local function expiry(attr, name)
    return attr.metrics and attr.metrics[name] and attr.metrics[name].expire
end

-- Register all metrics. attr: plugin_attr's table. into: gets them by short name.
function _M.register(prometheus, attr, into)
    for _, each in ipairs(GAUGES) do
        into[each[1]] = prometheus:gauge(each[2], each[3], each[4], expiry(attr, each[2]))
    end
    for _, each in ipairs(OF_REQUESTS) do
        local name, kind, help, buckets, setting = each[1], each[2], each[3], each[4], each[5]
        local names, exptime = labels.names(name, attr), expiry(attr, name)
        if kind == "histogram" then
            into[name] = prometheus:histogram(name, help, names, attr[setting] or buckets, exptime)
        else
            into[name] = prometheus[kind](prometheus, name, help, names, exptime)
        end
    end
end

return _M
