-- Owns a plugin that answers with its metadata and its plugin_attr.
local core = require "apisix.core"
local plugin = require "apisix.plugin"

local _M = {
    version = 0.1, priority = 1, name = "t-meta",
    schema = { type = "object" },
    metadata_schema = {
        type = "object",
        properties = { word = { type = "string" }, n = { type = "integer", default = 3 } },
        required = { "word" },
    },
}

function _M.check_schema(conf, schema_type)
    local schema = schema_type == core.schema.TYPE_METADATA and _M.metadata_schema or _M.schema
    return core.schema.check(schema, conf)
end

function _M.access()
    local metadata = plugin.plugin_metadata(_M.name)
    return 200, { metadata = metadata and metadata.value, attr = _M.attr }
end

function _M.api()
    return { {
        methods = { "GET" }, uri = "/t-meta/hello",
        handler = function()
            return 200, { hello = "world" }
        end,
    } }
end

return _M
