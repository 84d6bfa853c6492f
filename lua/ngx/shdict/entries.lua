-- Owns the entries of one in-process dictionary: the hash, the LRU order, their memory and their expiry.
-- Must never check arguments nor know the operations that are built on entries (store.lua, lists.lua).
--
-- An entry: key, value (nil for a list), size (bytes of the value), list (its items, or nil), expires
-- (monotonic ms, 0 = never), flags, and prev/next in the ring whose sentinel is `store.ring`:
-- ring.next is the most recently used one, ring.prev the least.
--
-- Where Lua allocates, a finalizer may run and delete an entry (resty.lock releases abandoned locks so):
-- nothing may be allocated between reading a link of the ring and writing it.
local clock = require "server.clock"
local slab = require "ngx.shdict.slab"

local floor, ceil = math.floor, math.ceil
local monotonic = clock.monotonic
local alloc, free = slab.alloc, slab.free

-- What nginx spends beside key and value (bytes).
local ENTRY_OVERHEAD, LIST_HEAD, ITEM_OVERHEAD = 68, 16, 21
local ZONE_STATE, ZONE_LABEL = 80, 28
local MAX_EVICTIONS = 30          -- ngx_lua gives up after evicting so many for one newcomer
local ALREADY_EXPIRED = -1        -- before any time that a clock can show

local _M = { ALREADY_EXPIRED = ALREADY_EXPIRED }

-- An empty dictionary of `capacity` bytes.
function _M.new(name, capacity)
    local ring = {}
    ring.prev, ring.next = ring, ring
    local store = { capacity = capacity, slab = slab.new(capacity), entries = {}, ring = ring }
    alloc(store.slab, ZONE_STATE)
    alloc(store.slab, ZONE_LABEL + #name)
    return store
end

-- The time in whole milliseconds; the small addend undoes the rounding of sums of seconds.
local function now_ms()
    return floor(monotonic() * 1000 + 0.001)
end

-- The moment `ttl_ms` from now; 0 (never) when it is not positive.
local function expiry(ttl_ms)
    if ttl_ms > 0 then
        return now_ms() + ttl_ms
    end
    return 0
end

local function is_expired(entry)
    local expires = entry.expires
    return expires ~= 0 and expires <= now_ms()
end

-- Make an entry the most recently used one.
local function touch(store, entry)
    local ring = store.ring
    if ring.next == entry then
        return
    end
    local prev, next = entry.prev, entry.next
    prev.next, next.prev = next, prev
    local first = ring.next
    entry.prev, entry.next = ring, first
    first.prev, ring.next = entry, entry
end

-- Bytes of the piece of memory that holds the entry itself.
local function entry_bytes(key, size, is_list)
    if is_list then
        return ceil((ENTRY_OVERHEAD + #key + LIST_HEAD) / 8) * 8
    end
    return ENTRY_OVERHEAD + #key + size
end

-- Bytes of the piece of memory that holds one list item.
local function item_bytes(value)
    return ITEM_OVERHEAD + (type(value) == "string" and #value or 8)
end

-- Give back the memory of all items of a list.
local function free_items(store, list)
    for i = list.first, list.last do
        free(store.slab, item_bytes(list[i]))
    end
end

local function remove(store, entry)
    local list = entry.list
    if list then
        free_items(store, list)
    end
    free(store.slab, entry_bytes(entry.key, entry.size, list ~= nil))
    entry.prev.next, entry.next.prev = entry.next, entry.prev
    store.entries[entry.key] = nil
end

-- Remove up to two expired entries at the least recently used end (ngx_lua does so in most operations).
local function sweep(store)
    local ring, removed = store.ring, 0
    for _ = 1, 2 do
        local last = ring.prev
        if last == ring or not is_expired(last) then
            break
        end
        remove(store, last)
        removed = removed + 1
    end
    return removed
end

-- Remove the least recently used entry, expired or not, then up to two expired ones.
-- Returns how many went.
local function evict(store)
    local last = store.ring.prev
    if last == store.ring then
        return 0
    end
    remove(store, last)
    return 1 + sweep(store)
end

-- Add an entry, evicting others if memory is short and `safe` is false.
-- Returns the entry (nil: no memory), and whether others were evicted.
local function insert(store, key, value, size, list, safe)
    local bytes, forcible = entry_bytes(key, size, list ~= nil), false
    local found = alloc(store.slab, bytes)
    if not found and not safe then
        for _ = 1, MAX_EVICTIONS do
            if evict(store) == 0 then
                break
            end
            forcible = true
            found = alloc(store.slab, bytes)
            if found then
                break
            end
        end
    end
    if not found then
        return nil, forcible
    end
    local ring = store.ring
    local entry = {
        key = key, value = value, size = size, list = list, expires = 0, flags = 0, prev = ring, next = ring,
    }
    local first = ring.next  -- read after the allocation above, see the head of this file
    entry.next, first.prev, ring.next = first, entry, entry
    store.entries[key] = entry
    return entry, forcible
end

-- Find an entry as the operations of ngx_lua do: the live one becomes the most recently used.
-- Returns the entry or nil, and whether it has expired.
local function find(store, key)
    local entry = store.entries[key]
    if not entry then
        return nil, false
    end
    if is_expired(entry) then
        return entry, true
    end
    touch(store, entry)
    return entry, false
end

_M.now_ms, _M.expiry, _M.is_expired = now_ms, expiry, is_expired
_M.touch, _M.remove, _M.sweep, _M.evict, _M.insert, _M.find = touch, remove, sweep, evict, insert, find
_M.item_bytes, _M.free_items = item_bytes, free_items

return _M
