-- Owns the way of clients to the APIs that plugins offer. Configuration and behaviour are those of APISIX 3.18's plugin
-- of this name. Must never offer an API itself: see lua/apisix/api_router.lua.
local core = require "apisix.core"
local router = require "apisix.router"

local schema = {
    type = "object",
    properties = { uri = { type = "string", description = "of the API; when absent, the request's own" } },
}

local _M = { version = 0.1, priority = 501, name = "public-api", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

function _M.access(conf, ctx)
    if conf.uri then
        ctx.var.uri = conf.uri
    end
    if not router.api.match(ctx) then
        return 404
    end
end

return _M
