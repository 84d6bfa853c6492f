-- Owns where places are counted: in this machine's memory, or in redis. Part of limit-conn.
--
-- The delay is that of the configuration, times how often the limit is exceeded: as with APISIX 3.18, what requests
-- take does not change it, and only_use_default_delay says nothing.
local limit_conn = require "resty.limit.conn"
local providers = require "apisix.plugins.limit-count.providers"
local redis = require "apisix.plugins.limit-conn.redis"

local setmetatable = setmetatable

local DICT_NAME = "plugin-limit-conn"

-- a limit of the configuration -> its limiter, for the numbers that it had last
local made = setmetatable({}, { __mode = "k" })
-- configuration -> its way to redis
local ways = setmetatable({}, { __mode = "k" })

local Memory = {}
Memory.__index = Memory

local _M = {}

function Memory:enter(counter)
    return self.limiter:incoming(counter, true)
end

function Memory:leave(counter)
    return self.limiter:leaving(counter)
end

local function way_to_redis(conf)
    local provider, err = ways[conf], nil
    if not provider then
        provider, err = providers.new(conf, DICT_NAME)
        ways[conf] = provider
    end
    return provider, err
end

local function make(conf, rule)
    local delay = conf.default_conn_delay
    if conf.policy == "local" then
        local limiter, err = limit_conn.new(DICT_NAME, rule.conn, rule.burst, delay)
        return limiter and setmetatable({ limiter = limiter }, Memory), err
    end
    local provider, err = way_to_redis(conf)
    if not provider then
        return nil, err
    end
    return redis.new(provider, { conn = rule.conn, burst = rule.burst, delay = delay, ttl = conf.key_ttl })
end

-- rule: of limit-conn.rules. Returns what has enter(counter) -> seconds to wait, how many there are, a mark to leave
-- with (or nil, "rejected"; or nil, err) and leave(counter, mark) -> true, or nil, err; or nil, err.
function _M.of(conf, rule)
    local limiter = made[rule.source]
    if limiter and limiter.conn == rule.conn and limiter.burst == rule.burst then
        return limiter
    end
    local err
    limiter, err = make(conf, rule)
    if not limiter then
        return nil, err
    end
    limiter.conn, limiter.burst = rule.conn, rule.burst
    made[rule.source] = limiter
    return limiter
end

return _M
