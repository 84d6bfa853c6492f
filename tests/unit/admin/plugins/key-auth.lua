-- An authentication plugin with a schema for routes and one for consumers.
local core = require "apisix.core"

local schema = { type = "object", properties = { header = { type = "string" } } }
local consumer_schema = { type = "object", properties = { key = { type = "string" } }, required = { "key" } }

return {
    version = 0.1, priority = 2500, type = "auth", name = "key-auth",
    schema = schema, consumer_schema = consumer_schema,
    check_schema = function(conf, schema_type)
        return core.schema.check(schema_type == core.schema.TYPE_CONSUMER and consumer_schema or schema, conf)
    end,
}
