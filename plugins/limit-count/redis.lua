-- Owns counters in redis. What reads and writes a counter is one script: gateways count in the same one at the same
-- time. Names and contents are those of APISIX's plugin, so that both can share them. Part of limit-count.
local core = require "apisix.core"
local scripts = require "apisix.plugins.limit-count.script"

local eval = scripts.eval
local null = ngx.null
local script = scripts.new
local setmetatable = setmetatable
local tonumber = tonumber

-- KEYS: counter. ARGV: cost, seconds that a new counter lives. -> value, milliseconds left
local ADD = script([[
local value = redis.call("INCRBY", KEYS[1], ARGV[1])
local left = redis.call("PTTL", KEYS[1])
if left < 0 then
    redis.call("EXPIRE", KEYS[1], ARGV[2])
    left = ARGV[2] * 1000
end
return {value, left}
]])

-- The last window's counter changes no more, so its value comes as an argument: in a cluster the two may be on
-- different nodes. KEYS: current counter. ARGV: cost, seconds that a new counter lives, limit, seconds of a window,
-- seconds left of the current one, the last one's value. -> 1 or 0, value
local SLIDE = script([[
local value = tonumber(redis.call("GET", KEYS[1]) or 0)
local limit, last = tonumber(ARGV[3]), tonumber(ARGV[6])
if value >= limit or last / ARGV[4] * ARGV[5] + value >= limit then
    return {0, value}
end
value = redis.call("INCRBY", KEYS[1], ARGV[1])
if redis.call("PTTL", KEYS[1]) < 0 then
    redis.call("EXPIRE", KEYS[1], ARGV[2])
end
return {1, value}
]])

local Redis = {}
Redis.__index = Redis

local _M = {}

-- provider: see limit-count.providers.
function _M.new(provider)
    return setmetatable({ provider = provider }, Redis)
end

local function get_number(client, name)
    local reply, err = client:get(name)
    if not reply then
        return nil, err
    end
    return reply == null and 0 or tonumber(reply) or 0
end

-- Run use(client, …) with a connection. Returns its results, or nil, err.
local function with_client(self, use, ...)
    local client, err = self.provider.connect()
    if not client then
        return nil, err
    end
    local first, second, third = use(client, ...)
    self.provider.release(client, first ~= nil)
    return first, second, third
end

local function add(client, name, cost, seconds)
    local reply, err = eval(client, ADD, name, cost, seconds)
    if not reply then
        return nil, err
    end
    return tonumber(reply[1]), tonumber(reply[2]) / 1000
end

-- As Memory:add.
function Redis:add(name, cost, seconds)
    return with_client(self, add, name, cost, seconds)
end

local function slide(client, current, previous, request)
    local last, err = get_number(client, previous)
    if not last then
        return nil, err
    end
    last = last > request.limit and request.limit or last
    local reply
    reply, err = eval(client, SLIDE, current, request.cost, request.seconds * 2, request.limit, request.seconds,
        request.left, last)
    if not reply then
        return nil, err
    end
    return reply[1] == 1, reply[2], last
end

-- As Memory:slide.
function Redis:slide(current, previous, request)
    return with_client(self, slide, current, previous, request)
end

local function add_sliding(client, current, previous, cost, seconds)
    local value, err = add(client, current, cost, seconds * 2)
    if not value then
        return nil, err
    end
    local last
    last, err = get_number(client, previous)
    if not last then -- what was added must not be added again
        core.log.error("failed to get the last window count: ", err)
    end
    return value, last or 0
end

-- As Memory:add_sliding.
function Redis:add_sliding(current, previous, cost, seconds)
    return with_client(self, add_sliding, current, previous, cost, seconds)
end

return _M
