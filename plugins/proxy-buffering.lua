-- Owns whether responses are buffered on their way: here they never are, each piece is passed on as it comes, so that
-- both values mean the same. Configuration is that of APISIX 3.18's plugin of this name.
local core = require "apisix.core"

local ngx = ngx

local schema = {
    type = "object",
    properties = { disable_proxy_buffering = { type = "boolean", default = false } },
}

local _M = { version = 0.1, priority = 21991, name = "proxy-buffering", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

function _M.rewrite(conf)
    ngx.ctx.disable_proxy_buffering = conf.disable_proxy_buffering
end

return _M
