-- Owns the methods of ngx.shared.DICT: their arguments, returns and error strings, as the ngx_lua
-- documentation and lua-resty-core have them. Must never know how a dictionary is stored: that is
-- the business of store.lua and survey.lua, which know the region that a dictionary holds as its element 1.
local bit = require "bit"
local region = require "ngx.shdict.region"
local store = require "ngx.shdict.store"
local survey = require "ngx.shdict.survey"

local error, select, tonumber, tostring, type = error, select, tonumber, tostring, type
local floor, ceil = math.floor, math.ceil
local tobit = bit.tobit
local is_region = region.is_region
local SET, ADD, REPLACE = store.SET, store.ADD, store.REPLACE
local STRING, NUMBER, BOOLEAN = store.STRING, store.NUMBER, store.BOOLEAN
local NUMBER_BYTES, BOOLEAN_BYTES = 8, 1   -- as nginx counts them

local MAX_KEY = 65535
local DEFAULT_KEYS = 1024

local _M = {}

local function storage(dict)
    local found = type(dict) == "table" and dict[1]
    if not is_region(found) then
        error('bad "zone" argument', 3)
    end
    return found
end

-- The key as a string, or nil and what is wrong with it.
local function checked_key(key)
    if key == nil then
        return nil, "nil key"
    end
    if type(key) ~= "string" then
        key = tostring(key)
    end
    local length = #key
    if length == 0 then
        return nil, "empty key"
    end
    if length > MAX_KEY then
        return nil, "key too long"
    end
    return key
end

-- As C does it: towards zero.
local function truncated(number)
    return number < 0 and ceil(number) or floor(number)
end

-- Seconds to whole milliseconds; less than one is none, that is "for ever".
local function milliseconds(seconds)
    return truncated(seconds * 1000)
end

local function user_flags(flags)
    if not flags or flags == 0 then
        return 0
    end
    if type(flags) ~= "number" then
        error('bad "flags" argument: number expected, got ' .. type(flags), 3)
    end
    return tobit(truncated(flags))
end

-- Reached by tail calls only: the caller of `set` is one level up.
local function put(dict, key, value, exptime, flags, mode, safe)
    local into = storage(dict)
    exptime = exptime or 0
    if exptime < 0 then
        error('bad "exptime" argument', 2)
    end
    flags = user_flags(flags)
    local err
    key, err = checked_key(key)
    if not key then
        return nil, err
    end
    if value == nil then
        if mode ~= SET then
            return false, "attempt to add or replace nil values", false
        end
        store.delete(into, key)
        return true, nil, false
    end
    local kind, ttl = type(value), milliseconds(exptime)
    if kind == "string" then
        return store.put(into, key, STRING, value, #value, ttl, flags, mode, safe)
    elseif kind == "number" then
        return store.put(into, key, NUMBER, value, NUMBER_BYTES, ttl, flags, mode, safe)
    elseif kind == "boolean" then
        return store.put(into, key, BOOLEAN, value and 1 or 0, BOOLEAN_BYTES, ttl, flags, mode, safe)
    end
    return nil, "bad value type"
end

-- set, safe_set, add, safe_add, replace: (key, value[, exptime[, flags]])
--   value: string, number, boolean, or nil to delete (set and safe_set only); exptime: seconds, 0 = for
--   ever, resolution 1 ms; flags: 32-bit integer kept with the value.
--   Return ok, err, forcible. err: "no memory"; add: "exists"; replace: "not found"; or (ok = nil)
--   "nil key", "empty key", "key too long", "bad value type". forcible: live entries were evicted.
--   The safe_ ones never evict.
function _M.set(dict, key, value, exptime, flags)
    return put(dict, key, value, exptime, flags, SET, false)
end

function _M.safe_set(dict, key, value, exptime, flags)
    return put(dict, key, value, exptime, flags, SET, true)
end

function _M.add(dict, key, value, exptime, flags)
    return put(dict, key, value, exptime, flags, ADD, false)
end

function _M.safe_add(dict, key, value, exptime, flags)
    return put(dict, key, value, exptime, flags, ADD, true)
end

function _M.replace(dict, key, value, exptime, flags)
    return put(dict, key, value, exptime, flags, REPLACE, false)
end

-- The same as set(key, nil).
function _M.delete(dict, key)
    return put(dict, key, nil, 0, 0, SET, false)
end

-- Returns value[, flags] (flags only if not 0); nil when absent or expired; nil, err on a bad key or a list.
function _M.get(dict, key)
    local from = storage(dict)
    local err
    key, err = checked_key(key)
    if not key then
        return nil, err
    end
    local value, flags
    value, flags, err = store.get(from, key)
    if value == nil then
        if err then
            return nil, err
        end
        return nil
    end
    if flags ~= 0 then
        return value, flags
    end
    return value
end

-- As get, expired entries included. Returns value, flags or nil, is_stale.
function _M.get_stale(dict, key)
    local from = storage(dict)
    local err
    key, err = checked_key(key)
    if not key then
        return nil, err
    end
    local value, flags, stale
    value, flags, err, stale = store.get_stale(from, key)
    if value == nil then
        if err then
            return nil, err
        end
        return nil
    end
    return value, flags ~= 0 and flags or nil, stale
end

local function incr_number(value, name)
    local number = tonumber(value)
    if not number then
        error("bad " .. name .. " arg: number expected, got " .. type(value), 4)
    end
    return number
end

-- The numbers of incr: value, init or nil, init_ttl in milliseconds.
local function incr_arguments(value, init, init_ttl)
    value = tonumber(value) or error("cannot convert 'nil' to 'double'", 3) -- what the FFI says there
    init = init and incr_number(init, "init") or nil
    if init_ttl == nil then
        return value, init, 0
    end
    init_ttl = incr_number(init_ttl, "init_ttl")
    if init_ttl < 0 then
        error('bad "init_ttl" argument', 3)
    end
    if not init then
        error('must provide "init" when providing "init_ttl"', 3)
    end
    return value, init, milliseconds(init_ttl)
end

-- Add `value` to a number; with `init`, an absent key starts there and lives `init_ttl` seconds.
-- Returns the sum (with init: sum, nil, forcible), or nil and "not found", "not a number", "no memory".
function _M.incr(dict, key, value, init, init_ttl)
    local into = storage(dict)
    local err
    key, err = checked_key(key)
    if not key then
        return nil, err
    end
    value, init, init_ttl = incr_arguments(value, init, init_ttl)
    local sum, forcible
    sum, err, forcible = store.incr(into, key, value, init, init_ttl)
    if not sum then
        return nil, err
    end
    if not init then
        return sum
    end
    return sum, nil, forcible
end

-- Seconds that the key still lives: 0 = for ever, negative = expired but not yet removed.
function _M.ttl(dict, key)
    local from = storage(dict)
    local err
    key, err = checked_key(key)
    if not key then
        return nil, err
    end
    local left = store.ttl(from, key)
    if not left then
        return nil, "not found"
    end
    return left / 1000
end

-- Set the time to live in seconds; 0 = for ever.
function _M.expire(dict, key, exptime)
    local from = storage(dict)
    if not exptime then
        error('bad "exptime" argument', 2)
    end
    local err
    key, err = checked_key(key)
    if not key then
        return nil, err
    end
    if not store.expire(from, key, milliseconds(exptime)) then
        return nil, "not found"
    end
    return true
end

-- Expire everything; the memory is given back as it is needed, or by flush_expired.
function _M.flush_all(dict)
    survey.flush_all(storage(dict))
end

-- The optional count of flush_expired and get_keys, checked as luaL_checkint does.
local function checked_limit(method, default, ...)
    local given = select("#", ...)
    if given == 0 then
        return default
    end
    if given > 1 then
        error("expecting 1 or 2 argument(s), but saw " .. given + 1, 3)
    end
    local limit = tonumber((...))
    if not limit then
        local got = type((...))
        error("bad argument #1 to '" .. method .. "' (number expected, got " .. got .. ")", 3)
    end
    return truncated(limit)
end

-- Remove expired entries, at most `limit` (0 or none: all). Returns how many were removed.
function _M.flush_expired(dict, ...)
    return survey.flush_expired(storage(dict), checked_limit("flush_expired", 0, ...))
end

-- The keys, least recently used first, at most `limit` (default 1024, 0 = all).
function _M.get_keys(dict, ...)
    return survey.keys(storage(dict), checked_limit("get_keys", DEFAULT_KEYS, ...))
end

-- The size in bytes that it was declared with.
function _M.capacity(dict)
    return survey.capacity(storage(dict))
end

-- Bytes in wholly free pages: 0 does not mean that nothing more fits.
function _M.free_space(dict)
    return survey.free_space(storage(dict))
end

return _M
