-- A plugin that stands beside t/: blocks load its file and run its phase.
local core = require "apisix.core"

local schema = { type = "object", properties = { name = { type = "string" } }, required = { "name" } }

local _M = { version = 0.1, priority = 10, name = "greeter", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

function _M.access(conf)
    return 200, { greeting = "Hello, " .. conf.name }
end

return _M
