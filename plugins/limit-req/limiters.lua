-- Owns where buckets are: in this machine's memory, or in redis. Part of limit-req.
local limit_req = require "resty.limit.req"
local providers = require "apisix.plugins.limit-count.providers"
local redis = require "apisix.plugins.limit-req.redis"

local setmetatable = setmetatable

local DICT_NAME = "plugin-limit-req"

-- configuration -> limiter
local made = setmetatable({}, { __mode = "k" })

local _M = {}

local function make(conf)
    if conf.policy == "local" then
        return limit_req.new(DICT_NAME, conf.rate, conf.burst)
    end
    local provider, err = providers.new(conf, DICT_NAME)
    if not provider then
        return nil, err
    end
    return redis.new(provider, conf.rate, conf.burst)
end

-- Returns what has incoming(key, commit) as resty.limit.req has; or nil, err.
function _M.of(conf)
    local limiter = made[conf]
    if limiter then
        return limiter
    end
    local err
    limiter, err = make(conf)
    made[conf] = limiter
    return limiter, err
end

return _M
