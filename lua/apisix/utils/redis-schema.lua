-- Owns the JSON schemas of the redis policies of limit-*: properties and required, by policy.
-- Mirrors apisix.utils.redis-schema (names, defaults and bounds).
local function string_of(min, max)
    return { type = "string", minLength = min, maxLength = max }
end

local function integer_of(min, default)
    return { type = "integer", minimum = min, default = default }
end

local function switch()
    return { type = "boolean", default = false }
end

-- Schemas are changed by those who get them, hence one each.
local function single()
    return {
        properties = {
            redis_host = string_of(2),
            redis_port = integer_of(1, 6379),
            redis_username = string_of(1),
            redis_password = string_of(0),
            redis_database = integer_of(0, 0),
            redis_timeout = integer_of(1, 1000),
            redis_ssl = switch(),
            redis_ssl_verify = switch(),
            redis_keepalive_timeout = integer_of(1000, 10000),
            redis_keepalive_pool = integer_of(1, 100),
        },
        required = { "redis_host" },
    }
end

local function cluster()
    return {
        properties = {
            redis_cluster_nodes = { type = "array", minItems = 1, items = string_of(2, 100) },
            redis_password = string_of(0),
            redis_timeout = integer_of(1, 1000),
            redis_cluster_name = { type = "string" },
            redis_cluster_ssl = switch(),
            redis_cluster_ssl_verify = switch(),
            redis_keepalive_timeout = integer_of(1000, 10000),
            redis_keepalive_pool = integer_of(1, 100),
        },
        required = { "redis_cluster_nodes", "redis_cluster_name" },
    }
end

-- limit-conn also says how many seconds a key lives.
local function with_key_ttl(schema)
    schema.properties.key_ttl = { type = "integer", default = 3600 }
    return schema
end

return {
    schema = { redis = single(), ["redis-cluster"] = cluster() },
    limit_conn_redis_schema = with_key_ttl(single()),
    limit_conn_redis_cluster_schema = with_key_ttl(cluster()),
}
