-- An authentication plugin with secrets of every shape; it answers with its configuration.
local core = require "apisix.core"

local STRING = { type = "string", maxLength = 20 }

local schema = {
    type = "object",
    properties = {
        token = STRING,
        list = { type = "array", items = STRING },
        map = { type = "object", additionalProperties = STRING },
        deep = { type = "object", properties = { token = STRING, servers = { type = "array" } } },
        count = { type = "number" },
    },
    encrypt_fields = { "token", "list", "map", "deep.token", "deep.servers.password", "count", "absent.field" },
}
local consumer_schema = {
    type = "object",
    properties = { key = STRING, open = STRING },
    required = { "key" },
    encrypt_fields = { "key" },
}
local metadata_schema = {
    type = "object",
    properties = { license = STRING },
    encrypt_fields = { "license" },
}
local SCHEMAS = { [core.schema.TYPE_CONSUMER] = consumer_schema, [core.schema.TYPE_METADATA] = metadata_schema }

local _M = {
    version = 0.1, priority = 2400, type = "auth", name = "t-secret",
    schema = schema, consumer_schema = consumer_schema, metadata_schema = metadata_schema,
}

function _M.check_schema(conf, schema_type)
    return core.schema.check(SCHEMAS[schema_type] or schema, conf)
end

function _M.rewrite(conf, ctx)
    local plugin = require "apisix.plugin"
    local consumer = require("apisix.consumer").find_consumer("t-secret", "key", core.request.header(ctx, "key"))
    local metadata = plugin.plugin_metadata("t-secret")
    return 200, {
        conf = conf,
        consumer = consumer and consumer.username,
        open = consumer and consumer.auth_conf.open,
        license = metadata and metadata.value.license,
    }
end

return _M
