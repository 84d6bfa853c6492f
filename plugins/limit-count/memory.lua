-- Owns counters in a shared dictionary of this machine. Part of limit-count.
local core = require "apisix.core"

local min = math.min
local setmetatable = setmetatable
local shared = ngx.shared

local Memory = {}
Memory.__index = Memory

local _M = {}

-- Returns a store over the shared dictionary, or nil, err.
function _M.new(dict_name)
    local dict = shared[dict_name]
    if not dict then
        return nil, 'shared dictionary with name "' .. dict_name .. '" is not configured'
    end
    return setmetatable({ dict = dict }, Memory)
end

local function increase(dict, name, cost, seconds)
    local value, err, forcible = dict:incr(name, cost, 0, seconds)
    if forcible then
        core.log.warn("shared dictionary is full, removed valid key(s) to store the new one")
    end
    return value, err
end

-- Add to a counter that lives `seconds` from its making. Returns its value and the seconds left; or nil, err.
function Memory:add(name, cost, seconds)
    local value, err = increase(self.dict, name, cost, seconds)
    if not value then
        return nil, err
    end
    return value, self.dict:ttl(name) or 0
end

-- Add to the current counter unless the limit is reached. request: {cost, limit, seconds, left}. Returns whether it
-- was added, the counter's value and the last one's, the limit at most; or nil, err. Nothing else runs in between
-- in this worker; another worker may let a request more pass.
function Memory:slide(current, previous, request)
    local last = min(self.dict:get(previous) or 0, request.limit)
    local value = self.dict:get(current) or 0
    if value >= request.limit or last / request.seconds * request.left + value >= request.limit then
        return false, value, last
    end
    local err
    value, err = increase(self.dict, current, request.cost, request.seconds * 2)
    if not value then
        return nil, err
    end
    return true, value, last
end

-- Add to the current counter. Returns its value and the last one's; or nil, err.
function Memory:add_sliding(current, previous, cost, seconds)
    local value, err = increase(self.dict, current, cost, seconds * 2)
    if not value then
        return nil, err
    end
    return value, self.dict:get(previous) or 0
end

return _M
