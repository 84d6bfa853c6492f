-- Owns places in redis: a sorted set for each counter, an id for each request with the time when it is forgotten, lest
-- a gateway that dies keeps its places for ever. Names and contents are those of APISIX's plugin, so that both can
-- share them. Part of limit-conn.
local core = require "apisix.core"
local script = require "apisix.plugins.limit-count.script"
local uuid = require "resty.jit-uuid"

local floor = math.floor
local ngx = ngx
local setmetatable = setmetatable
local time = ngx.time
local timer_at = ngx.timer.at

-- KEYS: counter. ARGV: places, seconds that one is kept, now, id. -> 1 or 0 (there is none), how many are taken
local ENTER = script.new([[
redis.call("ZREMRANGEBYSCORE", KEYS[1], 0, ARGV[3])
local taken = redis.call("ZCARD", KEYS[1])
if taken >= tonumber(ARGV[1]) then
    return {0, taken}
end
redis.call("ZADD", KEYS[1], ARGV[3] + ARGV[2], ARGV[4])
redis.call("EXPIRE", KEYS[1], ARGV[2])
return {1, taken + 1}
]])

local Redis = {}
Redis.__index = Redis

local _M = {}

-- provider: see limit-count.providers; opts: conn, burst; delay and ttl, seconds.
function _M.new(provider, opts)
    return setmetatable({
        provider = provider, max = opts.conn, places = opts.conn + opts.burst, delay = opts.delay, ttl = opts.ttl,
    }, Redis)
end

-- See limit-conn.limiters.
function Redis:enter(counter)
    local client, err = self.provider.connect()
    if not client then
        return nil, err
    end
    local id = ngx.ctx.request_id or uuid.generate_v4()
    local reply
    reply, err = script.eval(client, ENTER, "limit_conn:" .. counter, self.places, self.ttl, time(), id)
    self.provider.release(client, reply ~= nil)
    if not reply then
        return nil, err
    elseif reply[1] == 0 then
        return nil, "rejected"
    end
    local count = reply[2]
    local delay = count > self.max and self.delay * floor((count - 1) / self.max) or 0
    return delay, count, id
end

local function leave(_, self, counter, id)
    local client, err = self.provider.connect()
    local left
    if client then
        left, err = client:zrem("limit_conn:" .. counter, id)
        self.provider.release(client, left ~= nil)
    end
    if not left then
        core.log.error("failed to record the connection leaving request: ", err)
    end
end

-- The client does not wait for it.
function Redis:leave(counter, id)
    return timer_at(0, leave, self, counter, id)
end

return _M
