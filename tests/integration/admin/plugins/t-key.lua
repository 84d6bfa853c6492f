-- Lets consumers in who send their key in X-Key.
local consumer = require "apisix.consumer"
local core = require "apisix.core"

local schema = { type = "object" }
local consumer_schema = { type = "object", properties = { key = { type = "string" } }, required = { "key" } }

return {
    version = 0.1, priority = 2000, type = "auth", name = "t-key",
    schema = schema, consumer_schema = consumer_schema,
    check_schema = function(conf, schema_type)
        return core.schema.check(schema_type == core.schema.TYPE_CONSUMER and consumer_schema or schema, conf)
    end,
    rewrite = function(_, ctx)
        local found, conf = consumer.find_consumer("t-key", "key", core.request.header(ctx, "X-Key"))
        if not found then
            return 401
        end
        consumer.attach_consumer(ctx, found, conf)
    end,
}
