-- Owns the logging of requests to Grafana Loki. Configuration, behaviour and messages are those of APISIX 3.18's plugin
-- of this name; the sending is done in loki-logger/.
local core = require "apisix.core"
local log_util = require "apisix.utils.log-util"
local logger = require "apisix.utils.log-util.logger"
local sender = require "apisix.plugins.loki-logger.sender"

local format = string.format
local pairs = pairs
local start_time = ngx.req.start_time

local NAME = "loki-logger"
local TEXTS = { type = "object", patternProperties = { [".*"] = { type = "string", minLength = 1 } } }

local manager = require("apisix.utils.batch-processor-manager").new("loki logger", NAME)

local labels = core.table.deepcopy(TEXTS)
labels.default = { job = "apisix" }

local schema = {
    type = "object",
    properties = logger.properties {
        endpoint_addrs = { type = "array", minItems = 1, items = core.schema.uri_def },
        endpoint_uri = { type = "string", minLength = 1, default = "/loki/api/v1/push" },
        tenant_id = { type = "string", default = "fake" },
        headers = TEXTS,
        log_labels = labels,
        ssl_verify = { type = "boolean", default = false },
        timeout = { type = "integer", minimum = 1, maximum = 60000, default = 3000, description = "milliseconds" },
        keepalive = { type = "boolean", default = true },
        keepalive_timeout = { type = "integer", minimum = 1000, default = 60000, description = "milliseconds" },
        keepalive_pool = { type = "integer", minimum = 1, default = 5 },
    },
    required = { "endpoint_addrs" },
    encrypt_fields = { "headers" },
}
local metadata_schema = logger.metadata_schema()

local _M = {
    version = 0.1,
    priority = 414,
    name = NAME,
    schema = manager:wrap_schema(schema),
    metadata_schema = manager:wrap_metadata_schema(metadata_schema),
    access = log_util.check_and_read_req_body,
    body_filter = log_util.collect_body,
}

function _M.check_schema(conf, schema_type)
    if schema_type == core.schema.TYPE_METADATA then
        return core.schema.check(metadata_schema, conf)
    end
    core.utils.check_https({ "endpoint_addrs" }, conf, NAME)
    core.utils.check_tls_bool({ "ssl_verify" }, conf, NAME)
    local ok, err = core.schema.check(schema, conf)
    if not ok then
        return nil, err
    end
    return log_util.check_log_schema(conf)
end

-- The labels of this request: their values may name variables.
local function resolve_labels(conf, ctx)
    local resolved = {}
    for name, value in pairs(conf.log_labels) do
        local new, err, count = core.utils.resolve_var(value, ctx.var)
        if err then
            core.log.warn("failed to resolve label '", name, "' value '", value, "': ", err)
        end
        resolved[name] = not err and count > 0 and new or value
    end
    return resolved
end

function _M.log(conf, ctx)
    local entry = log_util.get_log_entry(NAME, conf, ctx)
    if not entry then
        return
    end
    logger.name_route(entry)
    return logger.push(manager, conf, ctx, {
        entry = entry,
        labels = resolve_labels(conf, ctx),
        time = format("%.0f000000", start_time() * 1000), -- nanoseconds: more digits than a number holds
    }, sender.new)
end

return _M
