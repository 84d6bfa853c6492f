-- Owns fixed windows: one begins with the first request and ends `seconds` later. Part of limit-count.
local max = math.max
local setmetatable = setmetatable

-- Part of the counter's name in redis, to be changed with the meaning of what is stored there.
local FORMAT = "v1"

local Fixed = {}
Fixed.__index = Fixed

local _M = {}

-- store: with add(). limit: cost allowed per window. seconds: its length. prefix: of counters' names in a store that
-- is not this plugin's alone, or nil.
function _M.new(store, limit, seconds, prefix)
    return setmetatable({
        store = store, limit = limit, seconds = seconds,
        prefix = prefix and prefix .. ":" .. FORMAT .. ":" or "",
    }, Fixed)
end

-- See limiters.get.
function Fixed:incoming(counter, cost)
    local consumed, left = self.store:add(self.prefix .. counter, cost, self.seconds)
    if not consumed then
        return nil, left, 0
    elseif consumed > self.limit then
        return nil, "rejected", left
    end
    return 0, self.limit - consumed, left
end

function Fixed:commit(counter, cost)
    local consumed, left = self.store:add(self.prefix .. counter, cost, self.seconds)
    if not consumed then
        return nil, left
    end
    return max(self.limit - consumed, 0), left
end

return _M
