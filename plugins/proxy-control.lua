-- Owns whether a request's body is read before its upstream is asked. Configuration, behaviour and messages are those
-- of APISIX 3.18's plugin of this name.
local client = require "resty.apisix.client"
local core = require "apisix.core"

local schema = {
    type = "object",
    properties = { request_buffering = { type = "boolean", default = true } },
}

local _M = { version = 0.1, priority = 21990, name = "proxy-control", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

function _M.rewrite(conf)
    if conf.request_buffering == nil then
        return
    end
    local ok, err = client.set_proxy_request_buffering(conf.request_buffering)
    if not ok then
        core.log.error("failed to set request_buffering: ", err)
        return 503
    end
end

return _M
