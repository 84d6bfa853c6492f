-- Owns the logging of requests to SkyWalking's collector, bound to the trace that the client names. Configuration,
-- behaviour and messages are those of APISIX 3.18's plugin of this name.
local base64 = require "ngx.base64"
local core = require "apisix.core"
local log_util = require "apisix.utils.log-util"
local logger = require "apisix.utils.log-util.logger"
local post = require "apisix.utils.log-util.post"
local split = require("ngx.re").split

local tonumber = tonumber

local NAME = "skywalking-logger"
local PARTS = 8 -- of the header sw8: sampled-trace-segment-span-service-instance-endpoint-address

local manager = require("apisix.utils.batch-processor-manager").new("skywalking logger", NAME)

local schema = {
    type = "object",
    properties = logger.properties {
        endpoint_addr = core.schema.uri_def,
        service_name = { type = "string", default = "APISIX" },
        service_instance_name = { type = "string", default = "APISIX Instance Name" },
        timeout = { type = "integer", minimum = 1, default = 3 },
    },
    required = { "endpoint_addr" },
}
local metadata_schema = logger.metadata_schema()

local _M = {
    version = 0.1,
    priority = 408,
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
    core.utils.check_https({ "endpoint_addr" }, conf, NAME)
    return core.schema.check(schema, conf)
end

-- What the client says of its trace; nil when it says nothing, or nothing that can be read.
local function trace_context(ctx)
    local header = core.request.header(ctx, "sw8")
    if not header then
        return nil
    end
    local parts = split(header, "-", "jo")
    if not parts or #parts ~= PARTS then
        core.log.warn("failed to parse trace_context header: ", header)
        return nil
    end
    return {
        traceId = base64.decode_base64url(parts[2]),
        traceSegmentId = base64.decode_base64url(parts[3]),
        spanId = tonumber(parts[4]),
    }
end

local function instance_of(conf)
    local name = conf.service_instance_name
    return name == "$hostname" and core.utils.gethostname() or name
end

local function new_sender(conf)
    local target = post.parse(conf.endpoint_addr)
    target.path, target.query = "/v3/logs", nil
    return function(entries)
        local body, err = core.json.encode(entries)
        if not body then
            return false, "error occurred while encoding the data: " .. err
        end
        core.log.info("sending a batch logs to ", conf.endpoint_addr)
        return post.send(target, conf.timeout, false, { ["Content-Type"] = "application/json" }, body)
    end
end

function _M.log(conf, ctx)
    local entry = log_util.get_log_entry(NAME, conf, ctx)
    return logger.push(manager, conf, ctx, {
        traceContext = trace_context(ctx),
        body = { json = { json = core.json.encode(entry, true) } },
        service = conf.service_name,
        serviceInstance = instance_of(conf),
        endpoint = ctx.var.uri,
    }, new_sender)
end

return _M
