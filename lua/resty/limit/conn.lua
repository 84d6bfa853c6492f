-- Owns the limiting of requests at the same time (API of lua-resty-limit-traffic's resty.limit.conn, after
-- ngx_http_limit_conn_module). Must never sleep nor touch a request.
local floor = math.floor
local assert, setmetatable, tonumber = assert, setmetatable, tonumber
local shared = ngx.shared

local _M = { _VERSION = "1.0.0" }
local metatable = { __index = _M }

-- dict_name: a shared dictionary; max: requests at the same time; burst: how many more may be delayed; unit_delay:
-- seconds that a request usually takes. Returns the limiter, or nil, "shared dict not found".
function _M.new(dict_name, max, burst, unit_delay)
    local dict = shared[dict_name]
    if not dict then
        return nil, "shared dict not found"
    end
    assert(max > 0 and burst >= 0 and unit_delay > 0)
    return setmetatable({ dict = dict, max = tonumber(max), burst = burst, unit_delay = unit_delay }, metatable)
end

local function enter(self, key)
    local count, err = self.dict:incr(key, 1, 0)
    if not count then
        return nil, err
    end
    if count <= self.max + self.burst then
        self.committed = true
        return count
    end
    count, err = self.dict:incr(key, -1)
    return nil, count and "rejected" or err
end

local function look(self, key)
    local count = (self.dict:get(key) or 0) + 1
    if count > self.max + self.burst then
        return nil, "rejected"
    end
    return count
end

-- See a request begin. commit: false = only tell what would be. Returns the seconds to wait and how many there are,
-- this one included; or nil, "rejected"; or nil, err.
function _M.incoming(self, key, commit)
    self.committed = false
    local see = commit and enter or look
    local count, err = see(self, key)
    if not count then
        return nil, err
    elseif count > self.max then
        return self.unit_delay * floor((count - 1) / self.max), count
    end
    return 0, count
end

-- Did the last incoming() count the request, so that leaving() is owed?
function _M.is_committed(self)
    return self.committed
end

-- See a request end. latency: seconds that it took; the delays follow it. Returns how many are left, or nil, err.
function _M.leaving(self, key, latency)
    assert(key)
    local count, err = self.dict:incr(key, -1)
    if not count then
        return nil, err
    end
    if latency then
        self.unit_delay = (self.unit_delay + latency) / 2
    end
    return count
end

-- Take back a committed request. Returns how many are left, or nil, err.
function _M.uncommit(self, key)
    assert(key)
    return self.dict:incr(key, -1)
end

function _M.set_conn(self, max)
    self.max = max
end

function _M.set_burst(self, burst)
    self.burst = burst
end

return _M
