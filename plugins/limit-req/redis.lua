-- Owns leaky buckets in redis. One script looks and pours, so that two gateways never see the same level. Names and
-- contents are those of APISIX's plugin, so that both can share them. Part of limit-req.
local script = require "apisix.plugins.limit-count.script"

local ceil = math.ceil
local now = ngx.now
local setmetatable = setmetatable
local tonumber = tonumber

local UNITS = 1000 -- of one request: levels are thousandths, as times are milliseconds

-- KEYS: bucket. ARGV: units that leak a second, units that it holds, milliseconds now, seconds that it lives, "1" to
-- pour. -> 1 or 0 (it would run over), level
local POUR = script.new([[
local bucket = redis.call("HMGET", KEYS[1], "excess", "last")
local level = 0
if bucket[1] and bucket[2] then
    local passed = math.abs(ARGV[3] - bucket[2]) / 1000
    level = math.max(bucket[1] - ARGV[1] * passed + 1000, 0)
    if level > tonumber(ARGV[2]) then
        return {0, tostring(level)}
    end
end
if ARGV[5] == "1" then
    redis.call("HSET", KEYS[1], "excess", level, "last", ARGV[3])
    redis.call("EXPIRE", KEYS[1], ARGV[4])
end
return {1, tostring(level)}
]])

local Redis = {}
Redis.__index = Redis

local _M = {}

-- provider: see limit-count.providers; rate: requests a second; burst: requests.
function _M.new(provider, rate, burst)
    return setmetatable({
        provider = provider, rate = rate * UNITS, burst = burst * UNITS, ttl = ceil(burst / rate) + 1,
    }, Redis)
end

-- As resty.limit.req's.
function Redis:incoming(key, commit)
    local client, err = self.provider.connect()
    if not client then
        return nil, err
    end
    local reply
    reply, err = script.eval(client, POUR, "limit_req:" .. key, self.rate, self.burst, now() * 1000, self.ttl,
        commit and "1" or "0")
    self.provider.release(client, reply ~= nil)
    if not reply then
        return nil, err
    elseif reply[1] == 0 then
        return nil, "rejected"
    end
    local level = tonumber(reply[2])
    return level / self.rate, level / UNITS
end

return _M
