-- Owns the ways to a redis client by policy: one server, a master or slave found by sentinels, a cluster.
-- Part of limit-count.
local connector = require "resty.redis.connector"
local core = require "apisix.core"
local redis = require "apisix.utils.redis"
local rediscluster = require "apisix.utils.rediscluster"

local concat = table.concat

local KEEPALIVE_TIMEOUT, SENTINEL_KEEPALIVE_TIMEOUT = 10000, 60000 -- milliseconds
local KEEPALIVE_POOL = 100

-- Connections go back to their pool, unless they failed.
local function releaser(timeout, pool)
    return function(client, ok)
        if not ok then
            client:close()
            return
        end
        local kept, err = client:set_keepalive(timeout, pool)
        if not kept then
            core.log.error("failed to set keepalive for redis: ", err)
        end
    end
end

local function new_single(conf)
    return {
        connect = function()
            return redis.new(conf)
        end,
        release = releaser(
            conf.redis_keepalive_timeout or KEEPALIVE_TIMEOUT,
            conf.redis_keepalive_pool or KEEPALIVE_POOL
        ),
    }
end

local function describe(err, previous)
    err = "redis connection failed, err: " .. (err or "unknown error")
    if previous and previous[1] then
        err = err .. ", previous_errors: " .. concat(previous, ", ")
    end
    return err
end

local function new_sentinel(conf)
    local timeout = conf.redis_keepalive_timeout or SENTINEL_KEEPALIVE_TIMEOUT
    local found, failure = connector.new({
        sentinels = conf.redis_sentinels,
        master_name = conf.redis_master_name,
        role = conf.redis_role,
        username = conf.redis_username,
        password = conf.redis_password,
        sentinel_username = conf.sentinel_username,
        sentinel_password = conf.sentinel_password,
        db = conf.redis_database,
        connect_timeout = conf.redis_connect_timeout,
        read_timeout = conf.redis_read_timeout,
        keepalive_timeout = timeout,
    })
    if not found then
        return nil, "failed to create redis client: " .. failure
    end
    return {
        connect = function()
            local client, err, previous = found:connect()
            if not client then
                return nil, describe(err, previous)
            end
            return client
        end,
        release = releaser(timeout, KEEPALIVE_POOL),
    }
end

-- A cluster's client connects and releases at each command by itself.
local function new_cluster(conf, dict_name)
    local client, err = rediscluster.new(conf, dict_name .. "-redis-cluster-slot-lock")
    if not client then
        return nil, err
    end
    return {
        connect = function()
            return client
        end,
        release = function() end,
    }
end

local NEW = { redis = new_single, ["redis-sentinel"] = new_sentinel, ["redis-cluster"] = new_cluster }

local _M = {}

-- Returns {connect() -> client, or nil, err; release(client, ok)}, or nil, err. The client has the commands of
-- resty.redis as methods.
function _M.new(conf, dict_name)
    return NEW[conf.policy](conf, dict_name)
end

return _M
