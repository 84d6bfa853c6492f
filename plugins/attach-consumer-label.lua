-- Owns the headers that tell the upstream of the consumer's labels. Configuration and behaviour are those of APISIX
-- 3.18's plugin of this name. Must never pass on what the client says in these headers.
local core = require "apisix.core"

local pairs, sub = pairs, string.sub
local NONE = {}

local schema = {
    type = "object",
    properties = {
        headers = {
            type = "object",
            additionalProperties = { type = "string", pattern = "^\\$.*" },
            minProperties = 1,
        },
    },
    required = { "headers" },
}

local _M = { version = 0.1, priority = 2399, name = "attach-consumer-label", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

function _M.before_proxy(conf, ctx)
    local labels = ctx.consumer and ctx.consumer.labels or NONE
    for header, label in pairs(conf.headers) do
        core.request.set_header(ctx, header, labels[sub(label, 2)])
    end
end

return _M
