-- Owns how much a client may send. Configuration, behaviour and messages are those of APISIX 3.18's plugin of this
-- name.
local client = require "resty.apisix.client"
local core = require "apisix.core"

local tonumber = tonumber

local schema = {
    type = "object",
    properties = {
        max_body_size = {
            type = "integer", minimum = 0,
            description = "Maximum message body size in bytes. No restriction when set to 0.",
        },
    },
}

local _M = { version = 0.1, priority = 22000, name = "client-control", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

function _M.rewrite(conf, ctx)
    local limit = conf.max_body_size
    if not limit then
        return
    end
    local length = tonumber(core.request.header(ctx, "Content-Length"))
    if length and limit ~= 0 and length > limit then
        return 413
    end
    local ok, err = client.set_client_max_body_size(limit) -- of bodies whose length is not told
    if not ok then
        core.log.error("failed to set client max body size: ", err)
        return 503
    end
end

return _M
