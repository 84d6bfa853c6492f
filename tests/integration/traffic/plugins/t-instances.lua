-- A plugin whose configuration holds upstreams of its own (as ai-proxy-multi's does) and has them checked: it answers
-- with what is known of each.
local core = require "apisix.core"
local manager = require "apisix.healthcheck_manager"

local schema = { type = "object", properties = { instances = { type = "array" } } }
local _M = { version = 0.1, priority = 1000, name = "t-instances", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

function _M.construct_upstream(instance)
    return { nodes = { { host = "127.0.0.1", port = instance.port, weight = 1 } }, checks = instance.checks }
end

function _M.access(conf)
    local parent, known = conf._meta.parent, {}
    for i, instance in ipairs(conf.instances) do
        local path = parent.resource_key .. "#plugins['t-instances'].instances[" .. i - 1 .. "]"
        local checker = manager.fetch_checker(path, parent.resource_version)
        known[i] = checker and manager.fetch_node_status(checker, "127.0.0.1", instance.port) or false
    end
    return 200, known
end

return _M
