-- Owns the text format in which metrics are shown to Prometheus. Part of the module prometheus.
local part = require("prometheus.store").part

local format = string.format
local ipairs = ipairs
local match = string.match
local sort = table.sort
local sub = string.sub
local tostring = tostring

local INFINITE = "+Inf"

local _M = {}

local function add(out, prefix, name, labels, value)
    out[#out + 1] = prefix .. name .. labels .. " " .. tostring(value) .. "\n"
end

local function add_head(out, prefix, name, metric)
    if metric and metric.help then
        out[#out + 1] = format("# HELP %s%s %s\n", prefix, name, metric.help)
    end
    if metric then
        out[#out + 1] = format("# TYPE %s%s %s\n", prefix, name, metric.type)
    end
end

local function add_histogram(out, self, metric, id, sum)
    local prefix, name = self.prefix, metric.name
    local labels = sub(id, #name + 1)
    local inner = labels == "" and "{le=" or sub(labels, 1, -2) .. ",le="
    local count = 0
    for i = 1, #metric.buckets + 1 do
        count = count + (self.dict:get(part(id, i)) or 0)
        local bound = metric.buckets[i]
        add(out, prefix, name .. "_bucket", format('%s"%s"}', inner, bound and tostring(bound) or INFINITE), count)
    end
    add(out, prefix, name .. "_count", labels, count)
    add(out, prefix, name .. "_sum", labels, sum)
end

-- All metrics that stand in the dictionary of a Prometheus object: an array of lines. pause(): called now and then.
function _M.lines(self, pause)
    local ids, values = self.store:list(pause)
    sort(ids)
    local out = {}
    local name, metric
    for _, id in ipairs(ids) do
        local own = match(id, "^[^{]+")
        if own ~= name then
            name, metric = own, self.registry[own] or self.store:described(own)
            add_head(out, self.prefix, name, metric)
        end
        if metric and metric.type == "histogram" then
            add_histogram(out, self, metric, id, values[id])
        else
            add(out, self.prefix, id, "", values[id])
        end
        pause()
    end
    return out
end

return _M
