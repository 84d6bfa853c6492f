-- Owns a plugin that takes the header X-User for the caller's key, in the manner of key-auth.
local consumer = require "apisix.consumer"
local core = require "apisix.core"

local _M = {
    version = 0.1, priority = 2500, type = "auth", name = "t-auth",
    schema = { type = "object", properties = { anonymous_consumer = { type = "string" } } },
    consumer_schema = {
        type = "object", properties = { key = { type = "string" } }, required = { "key" },
    },
}

function _M.check_schema(conf, schema_type)
    if schema_type == core.schema.TYPE_CONSUMER then
        return core.schema.check(_M.consumer_schema, conf)
    end
    return core.schema.check(_M.schema, conf)
end

local function find(conf, key)
    if not key and conf.anonymous_consumer then
        return consumer.get_anonymous_consumer(conf.anonymous_consumer)
    end
    return consumer.find_consumer(_M.name, "key", key)
end

function _M.rewrite(conf, ctx)
    local found, consumer_conf, err = find(conf, core.request.header(ctx, "X-User"))
    if not found then
        return 401, { message = err or "who are you?" }
    end
    consumer.attach_consumer(ctx, found, consumer_conf)
end

return _M
