-- Owns the limiting of requests at the same time. Configuration, behaviour and messages are those of APISIX 3.18's
-- plugin of this name; the work is done in limit-conn/, which other plugins may call too.
local core = require "apisix.core"
local limit_conn = require "apisix.plugins.limit-conn.init"
local redis_schema = require "apisix.utils.redis-schema"
local workflow = require "apisix.plugins.workflow"

local NAME = "limit-conn"

-- Numbers, or texts with variables that make them.
local conn = { oneOf = { { type = "integer", exclusiveMinimum = 0 }, { type = "string" } } }
local burst = { oneOf = { { type = "integer", minimum = 0 }, { type = "string" } } }

local rule = {
    type = "object",
    properties = { conn = conn, burst = burst, key = { type = "string" } },
    required = { "conn", "burst", "key" },
}

local schema = {
    type = "object",
    properties = {
        conn = conn,
        burst = burst,
        default_conn_delay = { type = "number", exclusiveMinimum = 0 },
        only_use_default_delay = { type = "boolean", default = false },
        key = { type = "string" },
        key_type = { type = "string", enum = { "var", "var_combination" }, default = "var" },
        policy = { type = "string", enum = { "redis", "redis-cluster", "local" }, default = "local" },
        rejected_code = { type = "integer", minimum = 200, maximum = 599, default = 503 },
        rejected_msg = { type = "string", minLength = 1 },
        allow_degradation = { type = "boolean", default = false },
        rules = { type = "array", items = rule },
    },
    oneOf = {
        { required = { "conn", "burst", "default_conn_delay", "key" } },
        { required = { "default_conn_delay", "rules" } },
    },
    ["if"] = { properties = { policy = { enum = { "redis" } } } },
    ["then"] = redis_schema.limit_conn_redis_schema,
    ["else"] = {
        ["if"] = { properties = { policy = { enum = { "redis-cluster" } } } },
        ["then"] = redis_schema.limit_conn_redis_cluster_schema,
    },
    encrypt_fields = { "redis_password" },
}

local _M = { version = 0.1, priority = 1003, name = NAME, schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

_M.access = limit_conn.increase
_M.log = limit_conn.decrease

-- Be an action of the plugin workflow.
function _M.workflow_handler()
    workflow.register(NAME, function(conf)
        return _M.check_schema(conf)
    end, limit_conn.increase, limit_conn.decrease)
end

return _M
