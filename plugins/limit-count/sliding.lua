-- Owns sliding windows: what the current window of the clock has consumed, and as much of the last one as still lies
-- within `seconds` from now, taken to be spread evenly. Part of limit-count.
local ceil = math.ceil
local floor = math.floor
local max = math.max
local min = math.min
local now = ngx.now
local setmetatable = setmetatable

local Sliding = {}
Sliding.__index = Sliding

local _M = {}

-- store: with slide() and add_sliding(). The rest as of fixed windows.
function _M.new(store, limit, seconds, prefix)
    return setmetatable({
        store = store, limit = limit, seconds = seconds, prefix = prefix and prefix .. ":" or "",
    }, Sliding)
end

local function hundredths(seconds)
    return ceil(seconds * 100) / 100
end

-- The names of the current and the last window's counters, and the seconds left of the current one.
local function names_of(self, counter)
    local time = now()
    local index = floor(time / self.seconds)
    local name = self.prefix .. counter .. "."
    return name .. index .. ".counter", name .. (index - 1) .. ".counter", self.seconds - time % self.seconds
end

-- When a rejected request would pass: as soon as enough of the last window has slid out of sight.
local function delay_of(self, consumed, last, left)
    if consumed >= self.limit or last == 0 then
        return left
    end
    return max(left - (self.limit - consumed) * self.seconds / last, 0)
end

-- See limiters.get.
function Sliding:incoming(counter, cost)
    local current, previous, left = names_of(self, counter)
    local accepted, consumed, last = self.store:slide(current, previous, {
        cost = cost, limit = self.limit, seconds = self.seconds, left = left,
    })
    if accepted == nil then
        return nil, consumed, 0
    elseif not accepted then
        return nil, "rejected", hundredths(delay_of(self, consumed, last, left))
    end
    local still_seen = last / self.seconds * left
    return 0, floor(self.limit - consumed - still_seen), hundredths(left)
end

function Sliding:commit(counter, cost)
    local current, previous, left = names_of(self, counter)
    local consumed, last = self.store:add_sliding(current, previous, cost, self.seconds)
    if not consumed then
        return nil, last
    end
    local still_seen = min(last, self.limit) / self.seconds * left
    return max(floor(self.limit - consumed - still_seen), 0), hundredths(left)
end

return _M
