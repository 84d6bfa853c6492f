-- Owns the sending of log lines to a syslog server. Part of the plugin syslog; plugins of streams use it too.
local core = require "apisix.core"
local logger = require "apisix.utils.log-util.logger"
local new_logger = require("resty.logger.socket").new
local rfc5424 = require "apisix.utils.rfc5424"

local concat = table.concat
local setmetatable = setmetatable

local manager = require("apisix.utils.batch-processor-manager").new("sys logger", "syslog")

local _M = {}

local loggers = setmetatable({}, { __mode = "k" }) -- configuration -> resty.logger.socket

local function logger_of(conf)
    local found = loggers[conf]
    if found then
        return found
    end
    local made, err = new_logger(nil, {
        host = conf.host, port = conf.port, flush_limit = conf.flush_limit, drop_limit = conf.drop_limit,
        timeout = conf.timeout, sock_type = conf.sock_type, pool_size = conf.pool_size,
        ssl = conf.tls, ssl_verify = false,
    })
    loggers[conf] = made
    return made, err
end

-- Send what a logger still holds. Returns its answer.
function _M.flush_syslog(held)
    local ok, err = held:flush(held)
    if not ok then
        core.log.error("failed to flush message:", err)
    end
    return ok
end

local function new_sender(conf)
    return function(lines)
        core.log.info("sending a batch logs to ", conf.host, ":", conf.port)
        local found, err = logger_of(conf)
        if not found then
            return false, "failed when initiating the sys logger processor" .. err
        end
        local ok
        ok, err = found:log(concat(lines))
        if not ok then
            return false, "failed to log message" .. err
        elseif err then
            core.log.error("failed to log message: ", err)
        end
        return true
    end
end

-- In log: have an entry sent as a line of syslog.
function _M.push_entry(conf, ctx, entry)
    local text, err = core.json.encode(entry)
    if not text then
        return core.log.error("error occurred while encoding the data: ", err)
    end
    local line = rfc5424.encode("SYSLOG", "INFO", ctx.var.host, "apisix", ctx.var.pid, text)
    return logger.push(manager, conf, ctx, line, new_sender)
end

return _M
