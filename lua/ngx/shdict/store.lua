-- Owns the operations on the values of an in-process dictionary; each is one indivisible step, so that
-- a storage shared between processes can stand in its place. Arguments come checked (methods.lua):
-- keys are strings, times whole milliseconds (0 = for ever), flags whole numbers.
-- Mirrors ngx_http_lua_shdict.c in what is found, kept, moved and evicted.
local entries = require "ngx.shdict.entries"
local lists = require "ngx.shdict.lists"
local slab = require "ngx.shdict.slab"

local type = type
local expiry, find, insert, remove, sweep, touch =
    entries.expiry, entries.find, entries.insert, entries.remove, entries.sweep, entries.touch
local is_expired, now_ms = entries.is_expired, entries.now_ms

local NUMBER_SIZE, BOOLEAN_SIZE = 8, 1

local _M = {
    SET = 0, ADD = 1, REPLACE = 2,
    new = entries.new,
    push = lists.push, pop = lists.pop, llen = lists.llen,
}

local ADD, REPLACE = _M.ADD, _M.REPLACE

local function size_of(value)
    local kind = type(value)
    if kind == "string" then
        return #value
    end
    return kind == "number" and NUMBER_SIZE or BOOLEAN_SIZE
end

-- Returns value, flags; nothing when absent or expired; nil, nil, err for a list.
function _M.get(store, key)
    sweep(store)
    local entry, expired = find(store, key)
    if not entry or expired then
        return nil
    end
    if entry.list then
        return nil, nil, "value is a list"
    end
    return entry.value, entry.flags
end

-- As get, but finds expired entries too: value, flags, err, is_stale.
function _M.get_stale(store, key)
    local entry, expired = find(store, key)
    if not entry then
        return nil
    end
    if entry.list then
        return nil, nil, "value is a list"
    end
    return entry.value, entry.flags, nil, expired
end

local function overwrite(store, entry, value, ttl_ms, flags)
    touch(store, entry)
    entry.value, entry.expires, entry.flags = value, expiry(ttl_ms), flags
end

-- Put a value where `entry` (or nil) was. Memory is taken anew only when the size differs.
local function put(store, entry, key, value, ttl_ms, flags, safe)
    local size = size_of(value)
    if entry then
        if not entry.list and entry.size == size then
            overwrite(store, entry, value, ttl_ms, flags)
            return true, nil, false
        end
        remove(store, entry)
    end
    local new, forcible = insert(store, key, value, size, nil, safe)
    if not new then
        return false, "no memory", forcible
    end
    new.expires, new.flags = expiry(ttl_ms), flags
    return true, nil, forcible
end

-- mode: SET, ADD (only if absent) or REPLACE (only if present); safe: never evict.
-- Returns ok, err, forcible.
function _M.put(store, key, value, ttl_ms, flags, mode, safe)
    sweep(store)
    local entry, expired = find(store, key)
    if mode == REPLACE and (not entry or expired) then
        return false, "not found", false
    end
    if mode == ADD and entry and not expired then
        return false, "exists", false
    end
    return put(store, entry, key, value, ttl_ms, flags, safe)
end

function _M.delete(store, key)
    sweep(store)
    local entry = store.entries[key]
    if entry then
        remove(store, entry)
    end
end

-- Add `delta` to a number; an absent one starts at `init` (if not nil) with `init_ttl_ms`.
-- Returns the sum, or nil, err; then forcible.
function _M.incr(store, key, delta, init, init_ttl_ms)
    sweep(store)
    local entry, expired = find(store, key)
    if entry and not expired then
        if type(entry.value) ~= "number" then
            return nil, "not a number"
        end
        local sum = entry.value + delta
        entry.value = sum
        return sum, nil, false
    end
    if not init then
        return nil, "not found"
    end
    local sum = init + delta
    local ok, err, forcible = put(store, entry, key, sum, init_ttl_ms, 0, false)
    if not ok then
        return nil, err, forcible
    end
    return sum, nil, forcible
end

-- Milliseconds until the entry expires (negative: since then), 0 = never; nil when absent.
function _M.ttl(store, key)
    local entry = store.entries[key]
    if not entry then
        return nil
    end
    return entry.expires == 0 and 0 or entry.expires - now_ms()
end

-- Set the time to live, of an expired but not yet removed entry too. Returns false when absent.
function _M.expire(store, key, ttl_ms)
    local entry = store.entries[key]
    if not entry then
        return false
    end
    entry.expires = expiry(ttl_ms)
    return true
end

-- Mark everything as expired; as in ngx_lua, at most three entries are removed at once.
function _M.flush_all(store)
    local ring = store.ring
    local entry = ring.next
    while entry ~= ring do
        entry.expires = entries.ALREADY_EXPIRED
        entry = entry.next
    end
    entries.evict(store)
end

-- Remove expired entries, oldest first; limit 0 = all of them. Returns how many.
function _M.flush_expired(store, limit)
    local ring, removed = store.ring, 0
    local entry = ring.prev
    while entry ~= ring do
        local newer = entry.prev
        if is_expired(entry) then
            remove(store, entry)
            removed = removed + 1
            if removed == limit then
                break
            end
        end
        entry = newer
    end
    return removed
end

-- The keys of live entries, least recently used first; limit 0 = all of them.
function _M.keys(store, limit)
    local ring, keys, count = store.ring, {}, 0
    local entry = ring.prev
    while entry ~= ring do
        if not is_expired(entry) then
            count = count + 1
            keys[count] = entry.key
            if count == limit then
                break
            end
        end
        entry = entry.prev
    end
    return keys
end

-- Bytes that the dictionary was declared with.
function _M.capacity(store)
    return store.capacity
end

-- Bytes in pages that no entry uses yet.
function _M.free_space(store)
    return store.slab.free_pages * slab.PAGE
end

return _M
