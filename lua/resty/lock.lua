-- Owns locks between requests and workers, on a shared dictionary (API of lua-resty-lock).
-- Must never keep a key that its owner let go of: a lock object that is collected while it holds a key
-- gives it back.
local ffi = require "ffi"

local shared, ngx = ngx.shared, ngx
local max, min = math.max, math.min
local setmetatable = setmetatable

local MIN_STEP = 0.001

local _M = { _VERSION = "0.09" }
local metatable = { __index = _M }

-- Lua 5.1 tables have no finalizer, a struct has: it carries the number of a held key in `held`.
local held = {}

local function release(number)
    local claim = held[number]
    held[number] = nil
    return claim.dict:delete(claim.key)
end

local holder_type = ffi.metatype("struct { int number; }", {
    __gc = function(holder)
        if holder.number > 0 then
            release(holder.number)
        end
    end,
})

-- dict_name: a shared dictionary. opts: exptime (30): seconds after which a held lock falls;
-- timeout (5): longest wait of lock(); step (0.001), ratio (2), max_step (0.5): of the waits between tries.
-- Returns the lock, or nil, "dictionary not found".
function _M.new(_, dict_name, opts)
    local dict = shared[dict_name]
    if not dict then
        return nil, "dictionary not found"
    end
    opts = opts or {}
    local exptime = opts.exptime or 30
    local timeout, step = opts.timeout, opts.step
    if timeout then
        timeout = min(timeout, exptime)
        step = step and min(step, timeout)
    end
    return setmetatable({
        dict = dict, exptime = exptime, timeout = timeout or 5,
        step = step or MIN_STEP, ratio = opts.ratio or 2, max_step = opts.max_step or 0.5,
        holder = holder_type(0),
    }, metatable)
end

-- Try once. Returns whether we hold the key now, and the error unless another holds it.
local function try(self, key)
    local ok, err = self.dict:add(key, true, self.exptime)
    if not ok then
        return false, err ~= "exists" and err or nil
    end
    local number = #held + 1
    held[number] = { dict = self.dict, key = key }
    self.holder.number = number
    return true
end

-- Wait for the key. Returns the seconds waited, or nil and "timeout", "locked" (this object holds one
-- already), "nil key" or the dictionary's error.
function _M.lock(self, key)
    if not key then
        return nil, "nil key"
    end
    if self.holder.number > 0 then
        return nil, "locked"
    end
    local elapsed, left, step = 0, self.timeout, self.step
    while true do
        local ok, err = try(self, key)
        if ok then
            return elapsed
        elseif err then
            return nil, err
        elseif left <= 0 then
            return nil, "timeout"
        end
        ngx.sleep(step)
        elapsed, left = elapsed + step, left - step
        step = min(max(MIN_STEP, step * self.ratio), left, self.max_step)
    end
end

-- Give the key back. Returns 1, or nil, "unlocked".
function _M.unlock(self)
    local number = self.holder.number
    if number == 0 then
        return nil, "unlocked"
    end
    self.holder.number = 0
    local ok, err = release(number)
    if not ok then
        return nil, err
    end
    return 1
end

-- Let the held lock fall after `time` seconds from now (default: exptime). Returns true, or nil and
-- "unlocked" or, when it has already fallen, "not found".
function _M.expire(self, time)
    local number = self.holder.number
    if number == 0 then
        return nil, "unlocked"
    end
    local ok, err = self.dict:replace(held[number].key, true, time or self.exptime)
    if not ok then
        return nil, err
    end
    return true
end

return _M
