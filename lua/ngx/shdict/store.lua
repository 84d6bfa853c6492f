-- Owns the operations on the values of a region; each is one indivisible step between processes.
-- Arguments come checked (methods.lua): keys are strings, times whole milliseconds (0 = for ever), flags
-- whole numbers. Mirrors ngx_http_lua_shdict.c in what is found, kept, moved and evicted.
--
-- Functions whose first parameters are (region, key, hash) run under the lock and must not allocate.
local bit = require "bit"
local entries = require "ngx.shdict.entries"
local ffi = require "ffi"
local hashes = require "ngx.shdict.hashes"
local layout = require "ngx.shdict.layout"
local lock = require "ngx.shdict.lock"
local scratch = require "ngx.shdict.scratch"

local C = ffi.C
local ffi_string = ffi.string
local bor, lshift, rshift, tobit = bit.bor, bit.lshift, bit.rshift, bit.tobit
local hash_of, locked = hashes.hash_of, lock.locked
local expiry, find, peek, publish, remove, room, sweep, touch = entries.expiry, entries.find, entries.peek,
    entries.publish, entries.remove, entries.room, entries.sweep, entries.touch
local expires, set_expires, now_ms, type_of =
    entries.expires, entries.set_expires, entries.now_ms, entries.type_of
local STATE, LENGTH, FLAGS, NUMBER, KEY = layout.STATE, layout.LENGTH, layout.FLAGS, layout.NUMBER, layout.KEY
local BEGUN, DONE, WRITTEN = layout.BEGUN, layout.DONE, layout.WRITTEN
local ENTRY_OVERHEAD = layout.ENTRY_OVERHEAD
local IS_BOOLEAN, IS_NUMBER, IS_STRING, IS_LIST =
    layout.IS_BOOLEAN, layout.IS_NUMBER, layout.IS_STRING, layout.IS_LIST

ffi.cdef [[
void pygw_shdict_copy(uintptr_t to, uintptr_t from, size_t count) __asm__("memcpy");
]]

local HALF_NUMBER = NUMBER / 2
local KEY_BYTES = KEY * 4
local NOTHING, TOO_LONG = 0, -1   -- what `read` finds, beside the types

local _M = { SET = 0, ADD = 1, REPLACE = 2, NUMBER = IS_NUMBER, BOOLEAN = IS_BOOLEAN, STRING = IS_STRING }

local ADD, REPLACE = _M.ADD, _M.REPLACE

-- Returns what there is (a type, NOTHING, or TOO_LONG for the scratch), the number or the length of the
-- string, flags, whether it has expired.
local function read(region, key, hash, stale_too)
    if not stale_too then
        sweep(region)
    end
    local entry, expired = find(region, key, hash)
    if entry == 0 or expired and not stale_too then
        return NOTHING
    end
    local w = region.w
    local kind = type_of(w, entry)
    local value
    if kind == IS_STRING then
        value = w[entry + LENGTH]
        if value > scratch.size then
            return TOO_LONG, value
        end
        scratch.turn = scratch.turn + 1
        C.pygw_shdict_copy(scratch.address, region.base + entry * 4 + KEY_BYTES + #key, value)
    elseif kind == IS_NUMBER then
        value = region.d[rshift(entry, 1) + HALF_NUMBER]
    else
        value = w[entry + NUMBER]
    end
    return kind, value, w[entry + FLAGS], expired
end

-- The string that `turn` has put into the scratch, or nil when a finalizer has been there meanwhile.
local function take_string(length, turn)
    local text = ffi_string(scratch.bytes, length)
    return scratch.turn == turn and text or nil
end

local function get(region, key, stale_too)
    local hash, turn = hash_of(region, key), scratch.turn + 1
    local kind, value, flags, expired = locked(region, read, key, hash, stale_too)
    if kind == IS_STRING then
        local text = take_string(value, turn)
        if not text then
            return get(region, key, stale_too)
        end
        return text, flags, nil, expired
    elseif kind == IS_NUMBER then
        return value, flags, nil, expired
    elseif kind == IS_BOOLEAN then
        return value ~= 0, flags, nil, expired
    elseif kind == NOTHING or kind == nil then
        return nil
    elseif kind == IS_LIST then
        return nil, nil, "value is a list"
    end
    scratch.grow(value)
    return get(region, key, stale_too)
end

-- Returns value, flags; nothing when absent or expired; nil, nil, err for a list.
function _M.get(region, key)
    return get(region, key, false)
end

-- As get, but finds expired entries too: value, flags, err, is_stale.
function _M.get_stale(region, key)
    return get(region, key, true)
end

local function store_value(region, slot, kind, value, key)
    if kind == IS_STRING then
        return C.pygw_shdict_write(region.base + slot * 4 + KEY_BYTES + #key, value, #value)
    elseif kind == IS_NUMBER then
        region.d[rshift(slot, 1) + HALF_NUMBER] = value
    else
        region.w[slot + NUMBER] = value
    end
end

-- Between BEGUN and DONE the entry is half the old and half the new: who dies there loses it.
local function overwrite(region, entry, key, kind, value, ttl_ms, flags)
    local w = region.w
    touch(region, entry)
    local turn = tobit(w[DONE] + 1)
    w[WRITTEN] = entry
    w[BEGUN] = turn
    set_expires(region, entry, expiry(ttl_ms))
    w[entry + FLAGS] = flags
    w[entry + STATE] = bor(kind, lshift(#key, 4))
    store_value(region, entry, kind, value, key)
    w[DONE] = turn
end

-- Put a value where `entry` (or 0) was. Memory is taken anew only when the size differs.
local function place(region, key, hash, entry, kind, value, size, ttl_ms, flags, safe)
    local w = region.w
    if entry ~= 0 then
        if w[entry + LENGTH] == size and type_of(w, entry) ~= IS_LIST then
            overwrite(region, entry, key, kind, value, ttl_ms, flags)
            return true, nil, false
        end
        remove(region, entry)
    end
    local slot, forcible = room(region, ENTRY_OVERHEAD + #key + size, safe)
    if slot == 0 then
        return false, "no memory", forcible
    end
    set_expires(region, slot, expiry(ttl_ms))
    w[slot + FLAGS], w[slot + LENGTH] = flags, size
    store_value(region, slot, kind, value, key)
    publish(region, slot, kind, key, hash)
    return true, nil, forcible
end

local function put(region, key, hash, kind, value, size, ttl_ms, flags, mode, safe)
    sweep(region)
    local entry, expired = find(region, key, hash)
    if mode == REPLACE and (entry == 0 or expired) then
        return false, "not found", false
    end
    if mode == ADD and entry ~= 0 and not expired then
        return false, "exists", false
    end
    return place(region, key, hash, entry, kind, value, size, ttl_ms, flags, safe)
end

-- kind: STRING, NUMBER or BOOLEAN (whose value is 1 or 0); size: its bytes as nginx counts them (the string's
-- length, 8, 1); mode: SET, ADD (only if absent) or REPLACE (only if present); safe: never evict.
-- Returns ok, err, forcible.
function _M.put(region, key, kind, value, size, ttl_ms, flags, mode, safe)
    local hash = hash_of(region, key)
    local ok, err, forcible = locked(region, put, key, hash, kind, value, size, ttl_ms, flags, mode, safe)
    return ok, err, forcible
end

local function delete(region, key, hash)
    sweep(region)
    local entry = peek(region, key, hash)
    if entry ~= 0 then
        return remove(region, entry)
    end
end

function _M.delete(region, key)
    locked(region, delete, key, hash_of(region, key))
end

local function incr(region, key, hash, delta, init, init_ttl_ms)
    sweep(region)
    local entry, expired = find(region, key, hash)
    if entry ~= 0 and not expired then
        if type_of(region.w, entry) ~= IS_NUMBER then
            return nil, "not a number"
        end
        local d, at = region.d, rshift(entry, 1) + HALF_NUMBER
        local sum = d[at] + delta
        d[at] = sum
        return sum, nil, false
    end
    if not init then
        return nil, "not found"
    end
    local sum = init + delta
    local ok, err, forcible = place(region, key, hash, entry, IS_NUMBER, sum, 8, init_ttl_ms, 0, false)
    return ok and sum or nil, err, forcible
end

-- Add `delta` to a number; an absent one starts at `init` (if not nil) with `init_ttl_ms`.
-- Returns the sum, or nil, err; then forcible.
function _M.incr(region, key, delta, init, init_ttl_ms)
    return locked(region, incr, key, hash_of(region, key), delta, init, init_ttl_ms)
end

local function ttl(region, key, hash)
    local entry = peek(region, key, hash)
    if entry == 0 then
        return nil
    end
    local at = expires(region, entry)
    return at == 0 and 0 or at - now_ms()
end

-- Milliseconds until the entry expires (negative: since then), 0 = never; nil when absent.
function _M.ttl(region, key)
    return (locked(region, ttl, key, hash_of(region, key)))
end

local function expire(region, key, hash, ttl_ms)
    local entry = peek(region, key, hash)
    if entry == 0 then
        return false
    end
    set_expires(region, entry, expiry(ttl_ms))
    return true
end

-- Set the time to live, of an expired but not yet removed entry too. Returns false when absent.
function _M.expire(region, key, ttl_ms)
    return (locked(region, expire, key, hash_of(region, key), ttl_ms))
end

return _M
