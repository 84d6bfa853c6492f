-- Owns the logging of requests to a UDP server, a batch in a datagram. Configuration, behaviour and messages are those
-- of APISIX 3.18's plugin of this name.
local core = require "apisix.core"
local log_util = require "apisix.utils.log-util"
local logger = require "apisix.utils.log-util.logger"

local udp = ngx.socket.udp

local NAME = "udp-logger"

local manager = require("apisix.utils.batch-processor-manager").new("udp logger", NAME)

local schema = {
    type = "object",
    properties = logger.properties {
        host = { type = "string" },
        port = { type = "integer", minimum = 0 },
        timeout = { type = "integer", minimum = 1, default = 3 },
    },
    required = { "host", "port" },
}
local metadata_schema = logger.metadata_schema()

local _M = {
    version = 0.1,
    priority = 400,
    name = NAME,
    schema = manager:wrap_schema(schema),
    metadata_schema = manager:wrap_metadata_schema(metadata_schema),
    access = log_util.check_and_read_req_body,
    body_filter = log_util.collect_body,
}

function _M.check_schema(conf, schema_type)
    return core.schema.check(schema_type == core.schema.TYPE_METADATA and metadata_schema or schema, conf)
end

local function deliver(socket, conf, data)
    local server = "UDP server: host[" .. conf.host .. "] port[" .. conf.port .. "] err: "
    local ok, err = socket:setpeername(conf.host, conf.port)
    if not ok then
        return false, "failed to connect to " .. server .. err
    end
    ok, err = socket:send(data)
    if not ok then
        return false, "failed to send data to " .. server .. err
    end
    return true
end

local function new_sender(conf)
    return function(entries, batch_max_size)
        local data, err = logger.encode(entries, batch_max_size)
        if not data then
            return false, "error occurred while encoding the data: " .. err
        end
        local socket = udp()
        socket:settimeout(conf.timeout * 1000)
        core.log.info("sending a batch logs to ", conf.host, ":", conf.port)
        local ok
        ok, err = deliver(socket, conf, data)
        socket:close()
        return ok, err
    end
end

function _M.log(conf, ctx)
    return logger.log(manager, NAME, conf, ctx, new_sender)
end

return _M
