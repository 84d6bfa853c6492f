-- Owns the schemas of limit-count; names, bounds and nesting are APISIX 3.18's, as messages tell of them.
local core = require "apisix.core"
local redis_schema = require "apisix.utils.redis-schema"

local function integer_of(minimum, default)
    return { type = "integer", minimum = minimum, default = default }
end

-- A number, or a text with variables that make one.
local positive = { oneOf = { { type = "integer", exclusiveMinimum = 0 }, { type = "string" } } }

local sentinel = {
    type = "object",
    properties = {
        host = { type = "string", minLength = 2 },
        port = { type = "integer", minimum = 1, maximum = 65535 },
    },
    required = { "host", "port" },
    additionalProperties = false,
}

-- Timeouts are milliseconds.
local policies = core.table.deepcopy(redis_schema.schema)
policies["redis-sentinel"] = {
    properties = {
        redis_sentinels = { type = "array", minItems = 1, items = sentinel },
        redis_master_name = { type = "string", minLength = 1 },
        redis_role = { type = "string", enum = { "master", "slave" }, default = "master" },
        redis_connect_timeout = integer_of(1, 1000),
        redis_read_timeout = integer_of(1, 1000),
        redis_keepalive_timeout = integer_of(1, 60000),
        redis_database = integer_of(0, 0),
        redis_username = { type = "string", minLength = 1 },
        redis_password = { type = "string", minLength = 0 },
        sentinel_username = { type = "string", minLength = 1 },
        sentinel_password = { type = "string", minLength = 0 },
    },
    required = { "redis_sentinels", "redis_master_name" },
}

-- The first policy's schema if it is that policy, and so on.
local function by_policy(names, i)
    if not names[i] then
        return nil
    end
    return {
        ["if"] = { properties = { policy = { enum = { names[i] } } } },
        ["then"] = policies[names[i]],
        ["else"] = by_policy(names, i + 1),
    }
end

local rule = {
    type = "object",
    properties = {
        count = positive,
        time_window = positive,
        key = { type = "string", description = "combination of variables; the rule holds if one of them is there" },
        header_prefix = { type = "string", description = "put before RateLimit in the names of headers" },
    },
    required = { "count", "time_window", "key" },
}

local schema = by_policy({ "redis", "redis-cluster", "redis-sentinel" }, 1)
schema.type = "object"
schema.properties = {
    count = positive,
    time_window = positive,
    window_type = { type = "string", enum = { "fixed", "sliding" }, default = "fixed" },
    rules = { type = "array", items = rule },
    group = { type = "string" },
    key = { type = "string", default = "remote_addr" },
    key_type = { type = "string", enum = { "var", "var_combination", "constant" }, default = "var" },
    rejected_code = { type = "integer", minimum = 200, maximum = 599, default = 503 },
    rejected_msg = { type = "string", minLength = 1 },
    policy = { type = "string", enum = { "local", "redis", "redis-cluster", "redis-sentinel" }, default = "local" },
    allow_degradation = { type = "boolean", default = false },
    show_limit_quota_header = { type = "boolean", default = true },
    sync_interval = { type = "number", default = -1, description = "seconds; -1: ask redis at each request" },
}
schema.oneOf = { { required = { "count", "time_window" } }, { required = { "rules" } } }
schema.encrypt_fields = { "redis_password", "sentinel_password" }

local headers = {
    limit_header = "X-RateLimit-Limit",
    remaining_header = "X-RateLimit-Remaining",
    reset_header = "X-RateLimit-Reset",
}

local metadata = { type = "object", properties = {} }
for field, name in pairs(headers) do
    metadata.properties[field] = { type = "string", default = name }
end

return { policies = policies, schema = schema, metadata = metadata, headers = headers }
