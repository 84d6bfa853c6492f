-- Owns the delay of what goes to redis: requests are counted on this machine against the quota that redis last told,
-- and every `interval` seconds what was counted is sent there. Part of limit-count.
--
-- A shared dictionary holds, for each counter, what all workers have counted since ("delta#") and the quota ("quota#").
-- A lock keeps two from sending the same delta; counting itself is atomic and takes none.
local core = require "apisix.core"
local resty_lock = require "resty.lock"

local exiting = ngx.worker.exiting
local format = string.format
local match = string.match
local max = math.max
local now = ngx.now
local pairs = pairs
local setmetatable = setmetatable
local shared = ngx.shared
local timer_at = ngx.timer.at
local tonumber = tonumber

local MAX_WAITING = 10000 -- counters that wait to be sent
local WARN_INTERVAL = 10 -- seconds

local Delayed = {}
Delayed.__index = Delayed

local _M = {}

-- limiter: of redis. fallback: used in its place while redis does not answer. seconds: length of a window.
function _M.new(limiter, fallback, dict_name, seconds, interval)
    return setmetatable({
        limiter = limiter, fallback = fallback, is_remote = true,
        dict = shared[dict_name], lock_dict_name = dict_name .. "-lock",
        expiry = 2 * seconds, interval = interval,
        waiting = {}, waiting_n = 0, is_due = false, warned_at = 0,
    }, Delayed)
end

-- What redis last told: what remains, and the seconds until the reset; nil when that is over.
local function quota_of(self, counter)
    local text = self.dict:get("quota#" .. counter)
    if not text then
        return nil
    end
    local remaining, reset_at = match(text, "^(%S+) (%S+)$")
    local reset = tonumber(reset_at) - now()
    if reset <= 0 then
        return nil
    end
    return tonumber(remaining), reset
end

-- Returns what remains and the seconds until the reset, or nil, err.
local function commit(self, counter, delta)
    local remaining, reset = self.limiter:commit(counter, delta)
    if remaining then
        return remaining, reset
    end
    core.log.error("sync to redis failed: ", reset, ", key: ", counter)
    core.log.warn("try use fallback limiter to do rate limiting")
    return self.fallback:commit(counter, delta)
end

local function send(self, counter)
    local dict = self.dict
    local delta = dict:get("delta#" .. counter) or 0
    local remaining, reset = commit(self, counter, delta)
    if not remaining then
        return nil, reset
    end
    local ok, err = dict:set("quota#" .. counter, format("%d %.3f", remaining, now() + reset), self.expiry)
    if not ok then
        return nil, err
    end
    dict:incr("delta#" .. counter, -delta, 0, self.expiry)
    dict:expire("delta#" .. counter, self.expiry)
    return remaining, reset
end

-- Send what was counted, alone among all workers. unless_known: another may have done it meanwhile, and that is
-- enough. Returns what remains and the seconds until the reset, or nil, err.
local function sync(self, counter, unless_known)
    local lock, err = resty_lock:new(self.lock_dict_name)
    if not lock then
        return nil, err
    end
    local waited
    waited, err = lock:lock(counter)
    if not waited then
        return nil, "lock key(" .. counter .. ") failed: " .. err
    end
    local remaining, reset
    if unless_known then
        remaining, reset = quota_of(self, counter)
    end
    if not remaining then
        remaining, reset = send(self, counter)
    end
    local ok
    ok, err = lock:unlock()
    if not ok then
        core.log.error("unlock key(", counter, ") failed: ", err)
    end
    return remaining, reset
end

local function send_waiting(premature, self)
    self.is_due = false
    local waiting = self.waiting
    self.waiting, self.waiting_n = {}, 0
    if premature or exiting() then
        return -- the deltas stay in the dictionary
    end
    for counter in pairs(waiting) do
        local ok, err = sync(self, counter)
        if not ok then
            core.log.error("sync failed: ", err, ", key: ", counter)
        end
    end
end

local function warn_of_many(self)
    if now() - self.warned_at >= WARN_INTERVAL then
        self.warned_at = now()
        core.log.warn("delayed-sync queue saturated, skipping enqueue; queue_len: ", self.waiting_n)
    end
end

-- Have the counter sent when the interval is over. One that finds no place is sent when its quota is asked for anew.
local function schedule(self, counter)
    if not self.waiting[counter] then
        if self.waiting_n >= MAX_WAITING then
            return warn_of_many(self)
        end
        self.waiting[counter] = true
        self.waiting_n = self.waiting_n + 1
    end
    if not self.is_due then
        local ok, err = timer_at(self.interval, send_waiting, self)
        if not ok then
            core.log.error("failed to create timer: ", err)
        end
        self.is_due = ok and true or false
    end
end

-- See limiters.get.
function Delayed:incoming(counter, cost)
    local quota, reset = quota_of(self, counter)
    if not quota then
        quota, reset = sync(self, counter, true)
        if not quota then
            return nil, reset, 0
        end
    end
    schedule(self, counter)
    local counted, err = self.dict:incr("delta#" .. counter, cost, 0, self.expiry)
    if not counted then
        return nil, err, 0
    end
    if counted > quota then
        self.dict:incr("delta#" .. counter, -cost)
        return nil, "rejected", reset
    end
    return 0, max(quota - counted, 0), reset
end

function Delayed:commit(counter, cost)
    return self.limiter:commit(counter, cost)
end

return _M
