-- A plugin with a schema, metadata of its own and a timer that must never fire in a checker.
local core = require "apisix.core"

local schema = {
    type = "object",
    properties = { count = { type = "integer", minimum = 1, default = 7 } },
    required = { "count" },
}
local metadata_schema = {
    type = "object",
    properties = { format = { type = "string" } },
    required = { "format" },
}

local _M = { version = 0.1, priority = 10, name = "t-count", schema = schema, metadata_schema = metadata_schema }

function _M.init()
    ngx.timer.at(0, function()
        core.log.error("the timer fired")
    end)
end

function _M.check_schema(conf, schema_type)
    if conf.count == 13 then
        error("thirteen")
    elseif conf.count == 14 then
        ngx.sleep(0)
    end
    return core.schema.check(schema_type == core.schema.TYPE_METADATA and metadata_schema or schema, conf)
end

return _M
