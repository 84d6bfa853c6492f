-- Owns the entries of a region: the hash, the order of use, their memory and their expiry.
-- Must never check arguments nor know the operations that are built on entries (store.lua, lists.lua).
-- Everything here runs under the lock and therefore must not allocate (lock.lua).
--
-- An entry is the index of its first word (layout.lua has its fields), 0 is none. Its doubles are
-- read through region.d, at half the index.
local bit = require "bit"
local clock = require "server.clock"
local ffi = require "ffi"
local layout = require "ngx.shdict.layout"
local rings = require "ngx.shdict.rings"
local slab = require "ngx.shdict.slab"

local C = ffi.C
local floor = math.floor
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local monotonic = clock.monotonic
local alloc, free = slab.alloc, slab.free
local link_first, unlink = rings.link_first, rings.unlink
local STATE, HASH, CHAIN, EXPIRES, KEY = layout.STATE, layout.HASH, layout.CHAIN, layout.EXPIRES, layout.KEY
local RING, PREV, NEXT = layout.RING, layout.PREV, layout.NEXT
local IS_LIST, FIRST = layout.IS_LIST, layout.FIRST

ffi.cdef [[
int pygw_shdict_compare(uintptr_t bytes, const char *text, size_t count) __asm__("memcmp");
void pygw_shdict_write(uintptr_t to, const char *text, size_t count) __asm__("memcpy");
]]

local HALF_EXPIRES = EXPIRES / 2
local KEY_BYTES = KEY * 4
local MAX_EVICTIONS = 30          -- ngx_lua gives up after evicting so many for one newcomer
local ALREADY_EXPIRED = -1        -- before any time that a clock can show

local _M = { ALREADY_EXPIRED = ALREADY_EXPIRED }

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

local function expires(region, entry)
    return region.d[rshift(entry, 1) + HALF_EXPIRES]
end

local function set_expires(region, entry, at)
    region.d[rshift(entry, 1) + HALF_EXPIRES] = at
end

local function is_expired(region, entry)
    local at = expires(region, entry)
    return at ~= 0 and at <= now_ms()
end

-- The type of what is in a slot: one of layout's IS_.
local function type_of(w, slot)
    return band(w[slot + STATE], 15)
end

-- Make an entry the most recently used one.
local function touch(region, entry)
    local w = region.w
    if w[RING + NEXT] ~= entry then
        unlink(w, entry)
        link_first(w, RING, entry)
    end
end

-- Give back the memory of a list's item and of those after it.
local function free_items(region, item)
    local w = region.w
    while item ~= 0 do
        local next = w[item + NEXT]
        free(region, item)
        item = next
    end
end

-- The word that holds the first entry of a hash's bucket.
local function bucket(region, hash)
    return region.buckets + band(hash, region.mask)
end

-- Take an entry out of the chain of its bucket.
local function unchain(region, entry)
    local w = region.w
    local after = w[entry + CHAIN]
    local at = bucket(region, w[entry + HASH])
    while w[at] ~= entry do
        at = w[at] + CHAIN
    end
    w[at] = after
end

-- Remove an entry: once its STATE is 0 it is gone, and so are its items.
local function remove(region, entry)
    local w = region.w
    local item = type_of(w, entry) == IS_LIST and w[entry + FIRST] or 0
    w[entry + STATE] = 0
    unchain(region, entry)
    unlink(w, entry)
    if item ~= 0 then
        free_items(region, item)
    end
    return free(region, entry)
end

-- Remove up to two expired entries at the least recently used end (ngx_lua does so in most operations).
-- Returns how many.
local function sweep(region)
    local w = region.w
    local last = w[RING + PREV]
    if last == RING or not is_expired(region, last) then
        return 0
    end
    remove(region, last)
    last = w[RING + PREV]
    if last == RING or not is_expired(region, last) then
        return 1
    end
    remove(region, last)
    return 2
end

-- Remove the least recently used entry, expired or not, then up to two expired ones.
-- Returns how many went.
local function evict(region)
    local last = region.w[RING + PREV]
    if last == RING then
        return 0
    end
    remove(region, last)
    return 1 + sweep(region)
end

local function alloc_by_force(region, bytes)
    for _ = 1, MAX_EVICTIONS do
        if evict(region) == 0 then
            break
        end
        local slot = alloc(region, bytes)
        if slot ~= 0 then
            return slot, true
        end
    end
    return 0, true
end

-- Take memory for an entry of so many bytes (as nginx counts them), evicting others if it is short and `safe`
-- is false. Returns the slot (0: no memory), and whether others were evicted.
local function room(region, bytes, safe)
    local slot = alloc(region, bytes)
    if slot ~= 0 then
        return slot, false
    end
    if safe or region.w[RING + PREV] == RING then
        return 0, false
    end
    return alloc_by_force(region, bytes)
end

-- Make an entry of a slot whose value, EXPIRES and FLAGS are in place: once its STATE is set it is there.
local function publish(region, slot, kind, key, hash)
    local w, length = region.w, #key
    C.pygw_shdict_write(region.base + slot * 4 + KEY_BYTES, key, length)
    w[slot + HASH] = hash
    w[slot + STATE] = bor(kind, lshift(length, 4))
    local at = bucket(region, hash)
    w[slot + CHAIN] = w[at]
    w[at] = slot
    return link_first(w, RING, slot)
end

-- The entry of this key among those of a chain. A tail call, for the first is most often the one.
local function seek(w, base, entry, key, hash)
    if entry == 0 then
        return 0
    end
    if w[entry + HASH] == hash and rshift(w[entry + STATE], 4) == #key
        and C.pygw_shdict_compare(base + entry * 4 + KEY_BYTES, key, #key) == 0 then
        return entry
    end
    return seek(w, base, w[entry + CHAIN], key, hash)
end

-- Find an entry, without a thought of its age. Returns it or 0.
local function peek(region, key, hash)
    local w = region.w
    return seek(w, region.base, w[bucket(region, hash)], key, hash)
end

-- Find an entry as the operations of ngx_lua do: the live one becomes the most recently used.
-- Returns the entry or 0, and whether it has expired.
local function find(region, key, hash)
    local entry = peek(region, key, hash)
    if entry == 0 then
        return 0, false
    end
    if is_expired(region, entry) then
        return entry, true
    end
    touch(region, entry)
    return entry, false
end

_M.now_ms, _M.expiry, _M.expires, _M.set_expires, _M.is_expired = now_ms, expiry, expires, set_expires, is_expired
_M.type_of, _M.touch, _M.remove, _M.sweep, _M.evict = type_of, touch, remove, sweep, evict
_M.room, _M.publish, _M.find, _M.peek, _M.bucket, _M.free_items = room, publish, find, peek, bucket, free_items

return _M
