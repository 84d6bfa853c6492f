-- Owns the logging of requests to a TCP server, in batches. Configuration, behaviour and messages are those of
-- APISIX 3.18's plugin of this name.
local core = require "apisix.core"
local log_util = require "apisix.utils.log-util"
local logger = require "apisix.utils.log-util.logger"

local tcp = ngx.socket.tcp

local NAME = "tcp-logger"

local manager = require("apisix.utils.batch-processor-manager").new("tcp logger", NAME)

local schema = {
    type = "object",
    properties = logger.properties {
        host = { type = "string" },
        port = { type = "integer", minimum = 0 },
        tls = { type = "boolean", default = false },
        tls_options = { type = "string" },
        timeout = { type = "integer", minimum = 1, default = 1000 },
    },
    required = { "host", "port" },
}
local metadata_schema = logger.metadata_schema()

local _M = {
    version = 0.1,
    priority = 405,
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
    core.utils.check_tls_bool({ "tls" }, conf, NAME)
    return core.schema.check(schema, conf)
end

-- tls_options: the name that the server is asked for. Its certificate is not verified.
local function deliver(socket, conf, data)
    local server = "TCP server: host[" .. conf.host .. "] port[" .. conf.port .. "] err: "
    local ok, err = socket:connect(conf.host, conf.port)
    if not ok then
        return false, "failed to connect to " .. server .. err
    end
    if conf.tls then
        ok, err = socket:sslhandshake(true, conf.tls_options, false)
        if not ok then
            return false, "failed to perform TLS handshake to " .. server .. err
        end
    end
    ok, err = socket:send(data)
    if not ok then
        return false, "failed to send data to " .. server .. err
    end
    return true
end

local function send(conf, data)
    local socket = tcp()
    socket:settimeout(conf.timeout)
    core.log.info("sending a batch logs to ", conf.host, ":", conf.port)
    local ok, err = deliver(socket, conf, data)
    socket:close()
    return ok, err
end

local function new_sender(conf)
    return function(entries, batch_max_size)
        local data, err = logger.encode(entries, batch_max_size)
        if not data then
            core.log.error("error occurred while encoding the data: ", err)
            return false, err
        end
        return send(conf, data)
    end
end

function _M.log(conf, ctx)
    return logger.log(manager, NAME, conf, ctx, new_sender)
end

return _M
