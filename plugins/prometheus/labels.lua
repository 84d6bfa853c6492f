-- Owns the labels of requests' metrics: their names, those that plugin_attr adds, those that the metadata switches
-- off. Must make no table while requests run. Part of the plugin prometheus.
local plugin = require "apisix.plugin"

local ipairs = ipairs
local next = next
local pairs = pairs
local sub = string.sub
local type = type

local NAME = "prometheus"
local LLM = { "request_type", "request_llm_model", "llm_model" }

local function join(...)
    local all = {}
    for _, list in ipairs({ ... }) do
        for _, name in ipairs(list) do
            all[#all + 1] = name
        end
    end
    return all
end

local WHERE = { "route", "service", "consumer", "node" }
local IDS = { "route_id", "service_id", "consumer", "node" }
local ALL_IDS = { "route", "route_id", "service", "service_id", "consumer", "node" }

local _M = {
    -- metric -> the names of its labels
    map = {
        http_status = join({ "code", "route", "matched_uri", "matched_host", "service", "consumer", "node" }, LLM,
            { "response_source" }),
        http_latency = join({ "type" }, WHERE, LLM),
        bandwidth = join({ "type" }, WHERE, LLM),
        llm_latency = join({ "type" }, IDS, LLM),
        llm_prompt_tokens = join(IDS, LLM),
        llm_completion_tokens = join(IDS, LLM),
        llm_prompt_tokens_dist = join(IDS, LLM),
        llm_completion_tokens_dist = join(IDS, LLM),
        llm_active_connections = join({ "route", "route_id", "matched_uri", "matched_host", "service", "service_id",
            "consumer", "node" }, LLM),
        ai_cache_hits_total = join({ "layer" }, ALL_IDS, LLM),
        ai_cache_misses_total = join(ALL_IDS, LLM),
        ai_cache_bypasses_total = join(ALL_IDS, LLM),
        ai_cache_embedding_latency = join(ALL_IDS, LLM),
    },
    -- metric -> the labels without which its series would say nothing: these cannot be switched off
    structural = {
        http_status = { code = true }, http_latency = { type = true }, bandwidth = { type = true },
        llm_latency = { type = true }, ai_cache_hits_total = { layer = true },
    },
}

-- metric -> array of the variables behind the additional labels
local variables = {}

-- The names of a metric's labels; from now on its additional ones are filled in too.
function _M.names(metric, attr)
    local extra = attr and attr.metrics and attr.metrics[metric] and attr.metrics[metric].extra_labels
    if not extra then
        variables[metric] = nil
        return _M.map[metric]
    end
    local all, found = join(_M.map[metric]), {}
    for i, pair in ipairs(extra) do
        local name, variable = next(pair)
        all[#all + 1] = name
        found[i] = sub(variable, 2)
    end
    variables[metric] = found
    return all
end

local read_from
local disabled = {} -- metric -> array of the places of labels that are switched off

local function read(switched_off)
    read_from, disabled = switched_off, {}
    for metric, names in pairs(switched_off or {}) do
        local off, places = {}, {}
        for _, name in ipairs(names) do
            off[name] = true
        end
        for place, name in ipairs(_M.map[metric]) do
            if off[name] then
                places[#places + 1] = place
            end
        end
        disabled[metric] = places
    end
end

-- Once per request, before values are made.
function _M.refresh()
    local metadata = plugin.plugin_metadata(NAME)
    local now = metadata and metadata.value and metadata.value.disabled_labels
    if now ~= read_from then
        read(now)
    end
end

-- Whether a metric has labels that come from elsewhere or go.
function _M.is_plain(metric)
    return not variables[metric] and not disabled[metric]
end

-- Complete the values of a metric's own labels, in place, and return them.
function _M.complete(metric, values, ctx)
    local extra = variables[metric]
    if extra then
        local count = #_M.map[metric]
        for i = 1, #extra do
            local value = ctx.var[extra[i]]
            values[count + i] = value == nil and "" or value
        end
    end
    local places = disabled[metric]
    for i = 1, places and #places or 0 do
        values[places[i]] = ""
    end
    return values
end

local MAX_MODEL = 128

-- A model's name as a label: clients choose it, so it has a limit, and what is no name is not shown.
function _M.model(value)
    local kind = type(value)
    if kind == "string" or kind == "number" then
        return sub(value, 1, MAX_MODEL)
    end
    return value ~= nil and "<non-scalar>" or nil
end

return _M
