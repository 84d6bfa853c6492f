-- Owns the logging of requests to an HTTP server, in batches. Configuration, behaviour and messages are those of
-- APISIX 3.18's plugin of this name; the sending is done in http-logger/.
local core = require "apisix.core"
local log_util = require "apisix.utils.log-util"
local logger = require "apisix.utils.log-util.logger"
local sender = require "apisix.plugins.http-logger.sender"

local NAME = "http-logger"

local manager = require("apisix.utils.batch-processor-manager").new("http logger", NAME)

local schema = {
    type = "object",
    properties = logger.properties {
        uri = core.schema.uri_def,
        auth_header = { type = "string" },
        timeout = { type = "integer", minimum = 1, default = 3 },
        concat_method = { type = "string", enum = { "json", "new_line" }, default = "json" },
        ssl_verify = { type = "boolean", default = false },
    },
    required = { "uri" },
    encrypt_fields = { "auth_header" },
}
local metadata_schema = logger.metadata_schema()

local _M = {
    version = 0.1,
    priority = 410,
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
    core.utils.check_https({ "uri" }, conf, NAME)
    core.utils.check_tls_bool({ "ssl_verify" }, conf, NAME)
    local ok, err = core.schema.check(schema, conf)
    if not ok then
        return nil, err
    end
    return log_util.check_log_schema(conf)
end

function _M.log(conf, ctx)
    return logger.log(manager, NAME, conf, ctx, sender.new, logger.name_route)
end

return _M
