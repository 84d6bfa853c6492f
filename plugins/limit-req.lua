-- Owns the limiting of the rate of requests by a leaky bucket: those above the rate wait, those above the burst are
-- rejected. Configuration, behaviour and messages are those of APISIX 3.18's plugin of this name.
local core = require "apisix.core"
local limiters = require "apisix.plugins.limit-req.limiters"
local plugin = require "apisix.plugin"
local redis_schema = require "apisix.utils.redis-schema"

local error = error
local sleep = core.sleep

local SHORTEST = 0.001 -- seconds

local policies = core.table.deepcopy(redis_schema.schema)

local schema = {
    type = "object",
    properties = {
        rate = { type = "number", exclusiveMinimum = 0 },
        burst = { type = "number", minimum = 0 },
        key = { type = "string" },
        key_type = { type = "string", enum = { "var", "var_combination" }, default = "var" },
        policy = { type = "string", enum = { "redis", "redis-cluster", "local" }, default = "local" },
        rejected_code = { type = "integer", minimum = 200, maximum = 599, default = 503 },
        rejected_msg = { type = "string", minLength = 1 },
        nodelay = { type = "boolean", default = false },
        allow_degradation = { type = "boolean", default = false },
    },
    required = { "rate", "burst", "key" },
    ["if"] = { properties = { policy = { enum = { "redis" } } } },
    ["then"] = policies.redis,
    ["else"] = {
        ["if"] = { properties = { policy = { enum = { "redis-cluster" } } } },
        ["then"] = policies["redis-cluster"],
    },
    encrypt_fields = { "redis_password" },
}

local _M = { version = 0.1, priority = 1001, name = "limit-req", schema = schema }

function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end

local function configured_key(conf, ctx)
    if conf.key_type ~= "var_combination" then
        return ctx.var[conf.key]
    end
    local key, err, resolved = core.utils.resolve_var(conf.key, ctx.var)
    if err then
        core.log.error("could not resolve vars in ", conf.key, " error: ", err)
    end
    return resolved ~= 0 and key or nil
end

-- The name of the request's bucket. A changed configuration has other buckets.
local function bucket_of(conf, ctx)
    local key = configured_key(conf, ctx)
    if key == nil then
        core.log.info("The value of the configured key is empty, use client IP instead")
        key = ctx.var.remote_addr
    end
    local parent = conf._meta and conf._meta.parent
    if not parent or not parent.resource_key then
        error("failed to generate key invalid parent: " .. core.json.encode(parent))
    end
    return parent.resource_key .. ":" .. plugin.conf_version(conf) .. ":" .. key
end

local function fail(conf)
    if not conf.allow_degradation then
        return 500
    end
end

function _M.access(conf, ctx)
    local limiter, err = limiters.of(conf)
    if not limiter then
        core.log.error("failed to instantiate a resty.limit.req object: ", err)
        return fail(conf)
    end
    local delay
    delay, err = limiter:incoming(bucket_of(conf, ctx), true)
    if not delay then
        if err == "rejected" then
            return conf.rejected_code, conf.rejected_msg and { error_msg = conf.rejected_msg }
        end
        core.log.error("failed to limit req: ", err)
        return fail(conf)
    end
    if delay >= SHORTEST and not conf.nodelay then
        sleep(delay)
    end
end

return _M
