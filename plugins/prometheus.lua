-- Owns the counting of requests for Prometheus. Configuration, metrics and messages are those of APISIX 3.18's plugin
-- of this name; the work is done in prometheus/.
local core = require "apisix.core"
local exporter = require "apisix.plugins.prometheus.exporter"

local ipairs = ipairs
local pairs = pairs

local schema = {
    type = "object",
    properties = { prefer_name = { type = "boolean", default = false } },
}

local function disabled_labels()
    local properties = {}
    for metric, names in pairs(exporter.metric_label_map) do
        local structural = exporter.structural_labels[metric] or {}
        local allowed = {}
        for _, name in ipairs(names) do
            if not structural[name] then
                allowed[#allowed + 1] = name
            end
        end
        properties[metric] = { type = "array", items = { type = "string", enum = allowed } }
    end
    return { type = "object", properties = properties, additionalProperties = false }
end

local metadata_schema = { type = "object", properties = { disabled_labels = disabled_labels() } }

local _M = {
    version = 0.2,
    priority = 500,
    name = "prometheus",
    run_policy = "prefer_route",
    schema = schema,
    metadata_schema = metadata_schema,
    log = exporter.http_log,
    init = exporter.http_init,
    destroy = exporter.destroy,
}

function _M.check_schema(conf, schema_type)
    return core.schema.check(schema_type == core.schema.TYPE_METADATA and metadata_schema or schema, conf)
end

function _M.api()
    return exporter.get_api(true)
end

return _M
