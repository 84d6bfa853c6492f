-- Owns the operations on all entries of a region: keys, flushing, free space; each is one indivisible step.
-- Must never check arguments. Functions that take a region alone, or a limit more, and are handed to `locked`
-- run under the lock and must not allocate.
local bit = require "bit"
local entries = require "ngx.shdict.entries"
local ffi = require "ffi"
local layout = require "ngx.shdict.layout"
local lock = require "ngx.shdict.lock"

local C = ffi.C
local cast, ffi_string, tonumber = ffi.cast, ffi.string, tonumber
local rshift = bit.rshift
local locked = lock.locked
local evict, is_expired, remove, set_expires = entries.evict, entries.is_expired, entries.remove, entries.set_expires
local RING, PREV, NEXT, STATE, KEY = layout.RING, layout.PREV, layout.NEXT, layout.STATE, layout.KEY

local KEYS_ROOM = 4096            -- words

local _M = {}

local function flush_all(region)
    local w = region.w
    local entry = w[RING + NEXT]
    while entry ~= RING do
        set_expires(region, entry, entries.ALREADY_EXPIRED)
        entry = w[entry + NEXT]
    end
    evict(region)
end

-- Mark everything as expired; as in ngx_lua, at most three entries are removed at once.
function _M.flush_all(region)
    locked(region, flush_all)
end

local function flush_expired(region, limit)
    local w, removed = region.w, 0
    local entry = w[RING + PREV]
    while entry ~= RING do
        local newer = w[entry + PREV]
        if is_expired(region, entry) then
            remove(region, entry)
            removed = removed + 1
            if removed == limit then
                break
            end
        end
        entry = newer
    end
    return removed
end

-- Remove expired entries, oldest first; limit 0 = all of them. Returns how many.
function _M.flush_expired(region, limit)
    return (locked(region, flush_expired, limit))
end

-- The words that a key takes in a buffer: its length, then its bytes.
local function record_words(length)
    return 1 + rshift(length + 3, 2)
end

-- Write the keys of live entries to the buffer (words at `address`, `room` of them) as far as they fit.
-- Returns how many there are and the words that they all take.
local function collect(region, limit, words, address, room)
    local w, count, used = region.w, 0, 0
    local entry = w[RING + PREV]
    while entry ~= RING do
        if not is_expired(region, entry) then
            local length = rshift(w[entry + STATE], 4)
            local past = used + record_words(length)
            if past <= room then
                words[used] = length
                C.pygw_shdict_copy(address + used * 4 + 4, region.base + (entry + KEY) * 4, length)
            end
            used, count = past, count + 1
            if count == limit then
                break
            end
        end
        entry = w[entry + PREV]
    end
    return count, used
end

local function keys(region, limit, room)
    local words = ffi.new("int32_t[?]", room)
    local address = tonumber(cast("uintptr_t", words))
    local count, used = locked(region, collect, limit, words, address, room)
    if used > room then
        return keys(region, limit, used)
    end
    local found, bytes, at = {}, cast("const char *", words), 0
    for i = 1, count do
        local length = words[at]
        found[i] = ffi_string(bytes + at * 4 + 4, length)
        at = at + record_words(length)
    end
    return found
end

-- The keys of live entries, least recently used first; limit 0 = all of them.
function _M.keys(region, limit)
    return keys(region, limit, KEYS_ROOM)
end

-- Bytes that the dictionary was declared with.
function _M.capacity(region)
    return region.size
end

-- Bytes in pages that no entry uses yet.
function _M.free_space(region)
    return region.w[layout.FREE_PAGES] * layout.PAGE
end

return _M
