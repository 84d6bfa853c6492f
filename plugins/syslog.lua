-- Owns the logging of requests to a syslog server. Configuration, behaviour and messages are those of APISIX 3.18's
-- plugin of this name, but that `tls` has an effect; the sending is done in syslog/.
local core = require "apisix.core"
local log_util = require "apisix.utils.log-util"
local logger = require "apisix.utils.log-util.logger"
local syslog = require "apisix.plugins.syslog.init"

local NAME = "syslog"

local manager = require("apisix.utils.batch-processor-manager").new("sys logger", NAME)

local schema = {
    type = "object",
    properties = logger.properties {
        host = { type = "string" },
        port = { type = "integer" },
        flush_limit = { type = "integer", minimum = 1, default = 4096 },
        drop_limit = { type = "integer", default = 1048576 },
        timeout = { type = "integer", minimum = 1, default = 3000 },
        sock_type = { type = "string", enum = { "tcp", "udp" }, default = "tcp" },
        pool_size = { type = "integer", minimum = 5, default = 5 },
        tls = { type = "boolean", default = false },
    },
    required = { "host", "port" },
}
local metadata_schema = logger.metadata_schema()

local _M = {
    version = 0.1,
    priority = 401,
    name = NAME,
    schema = manager:wrap_schema(schema),
    metadata_schema = manager:wrap_metadata_schema(metadata_schema),
    flush_syslog = syslog.flush_syslog,
    access = log_util.check_and_read_req_body,
    body_filter = log_util.collect_body,
}

function _M.check_schema(conf, schema_type)
    if schema_type == core.schema.TYPE_METADATA then
        return core.schema.check(metadata_schema, conf)
    end
    core.utils.check_tls_bool({ "tls" }, conf, NAME)
    return core.schema.check(schema, conf)
end

function _M.log(conf, ctx)
    local entry = log_util.get_log_entry(NAME, conf, ctx)
    if entry then
        return syslog.push_entry(conf, ctx, entry)
    end
end

return _M
