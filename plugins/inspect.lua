-- Owns the plugin inspect: breakpoints that log what is going on in any line of Lua, from a file that administrators
-- write while the gateway runs. It does nothing to requests. Mirrors APISIX's plugin of that name.
local core = require "apisix.core"
local inspect = require "apisix.inspect"
local plugin = require "apisix.plugin"

local schema = { type = "object", properties = {} }

local _M = { version = 0.1, priority = 200, name = "inspect", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

-- plugin_attr.inspect: delay (seconds between looks at the file), hooks_file.
function _M.init()
    local attr = plugin.plugin_attr("inspect") or {}
    return inspect.init(attr.delay, attr.hooks_file)
end

function _M.destroy()
    return inspect.destroy()
end

return _M
