-- Owns the limiting of the rate of requests: a bucket that leaks `rate` requests a second (API of
-- lua-resty-limit-traffic's resty.limit.req, after ngx_http_limit_req_module). Must never sleep nor touch a request.
local abs, max = math.abs, math.max
local assert, setmetatable, tonumber, type = assert, setmetatable, tonumber, type
local format, match = string.format, string.match
local now, shared = ngx.now, ngx.shared

local _M = { _VERSION = "1.0.0" }
local metatable = { __index = _M }

local ABUSED = "shdict abused by other users"

-- dict_name: a shared dictionary; rate: requests a second; burst: requests that may be delayed. Fractions are fine.
-- Returns the limiter, or nil, "shared dict not found".
function _M.new(dict_name, rate, burst)
    local dict = shared[dict_name]
    if not dict then
        return nil, "shared dict not found"
    end
    assert(rate > 0 and burst >= 0)
    return setmetatable({ dict = dict, rate = rate, burst = burst }, metatable)
end

-- The excess (requests above the rate) when the key was last seen, and when that was; nil if it is not known; false
-- if what stands there is not ours.
local function read(self, key)
    local value = self.dict:get(key)
    if value == nil then
        return nil
    end
    local excess, last = match(type(value) == "string" and value or "", "^(%S+) (%S+)$")
    return tonumber(excess) or false, tonumber(last)
end

-- The bucket may be forgotten as soon as it has run empty. Returns true, or nil, err.
local function write(self, key, excess, last)
    local ok, err = self.dict:set(key, format("%.6f %.3f", excess, last), (excess + 1) / self.rate)
    return ok or nil, err
end

-- See a request. commit: false = only tell what would be. Returns the seconds to wait and the excess; or nil,
-- "rejected"; or nil, err.
function _M.incoming(self, key, commit)
    local time = now()
    local excess, last = read(self, key)
    if excess == false then
        return nil, ABUSED
    elseif not excess then
        excess = 0
    else
        excess = max(excess - self.rate * abs(time - last) + 1, 0)
        if excess > self.burst then
            return nil, "rejected"
        end
    end
    if commit then
        local ok, err = write(self, key, excess, time)
        if not ok then
            return nil, err
        end
    end
    return excess / self.rate, excess
end

-- Take back a committed request. Returns true, or nil, err ("not found").
function _M.uncommit(self, key)
    assert(key)
    local excess, last = read(self, key)
    if excess == nil then
        return nil, "not found"
    elseif not excess then
        return nil, ABUSED
    end
    return write(self, key, max(excess - 1, 0), last)
end

function _M.set_rate(self, rate)
    self.rate = rate
end

function _M.set_burst(self, burst)
    self.burst = burst
end

return _M
