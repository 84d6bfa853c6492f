-- Owns the lists of a region: push, pop and length at either end; each is one indivisible step.
-- Must never check arguments (list_methods.lua does). Pushing evicts nothing: it fails when memory is short,
-- as in ngx_http_lua_shdict.c.
--
-- The list is what follows from FIRST by NEXT: one store of either puts an item in or takes it out. An item
-- that no list comes to is nobody's, and repair.lua frees it.
local entries = require "ngx.shdict.entries"
local ffi = require "ffi"
local hashes = require "ngx.shdict.hashes"
local layout = require "ngx.shdict.layout"
local lock = require "ngx.shdict.lock"
local slab = require "ngx.shdict.slab"

local C = ffi.C
local ffi_string = ffi.string
local ceil = math.ceil
local alloc, free = slab.alloc, slab.free
local hash_of, locked = hashes.hash_of, lock.locked
local find, free_items, publish, remove, room, sweep, type_of = entries.find, entries.free_items,
    entries.publish, entries.remove, entries.room, entries.sweep, entries.type_of
local STATE, LENGTH, FIRST, LAST, PREV, NEXT =
    layout.STATE, layout.LENGTH, layout.FIRST, layout.LAST, layout.PREV, layout.NEXT
local ITEM_LENGTH, ITEM_VALUE, ITEM_OVERHEAD = layout.ITEM_LENGTH, layout.ITEM_VALUE, layout.ITEM_OVERHEAD
local CELL = layout.CELL
local IS_LIST, IS_NUMBER_ITEM, IS_STRING_ITEM = layout.IS_LIST, layout.IS_NUMBER_ITEM, layout.IS_STRING_ITEM

local LIST_BYTES = layout.ENTRY_OVERHEAD + layout.LIST_HEAD
local NUMBER_BYTES = 8
local USUAL_SIZE = 256            -- bytes of a string in a list, for which no second look is needed
local NOTHING, TOO_LONG = 0, -1   -- what `pop` finds, beside the types

local _M = { NUMBER = IS_NUMBER_ITEM, STRING = IS_STRING_ITEM }

-- Make a list that has expired an empty one that never does.
local function empty(region, list)
    local w = region.w
    local first = w[list + FIRST]
    w[list + FIRST] = 0
    w[list + LAST], w[list + LENGTH] = 0, 0
    entries.set_expires(region, list, 0)
    entries.touch(region, list)
    return free_items(region, first)
end

local function new_list(region, key, hash)
    local list = room(region, ceil((LIST_BYTES + #key) / 8) * 8, true)
    if list == 0 then
        return false, "no memory"
    end
    local w = region.w
    w[list + LENGTH], w[list + FIRST], w[list + LAST], w[list + layout.FLAGS] = 0, 0, 0, 0
    entries.set_expires(region, list, 0)
    publish(region, list, IS_LIST, key, hash)
    return list
end

-- The list at `key`, made if need be. Returns the entry, or a false value and an error.
local function list_for_push(region, key, hash)
    local w = region.w
    local entry, expired = find(region, key, hash)
    if entry == 0 then
        return new_list(region, key, hash)
    end
    local is_list = type_of(w, entry) == IS_LIST
    if not expired then
        if not is_list then
            return nil, "value not a list"
        end
        return entry
    end
    if is_list then
        empty(region, entry)
        return entry
    end
    remove(region, entry)
    return new_list(region, key, hash)
end

-- An item with its value, in no list yet. Returns 0 when there is no memory.
local function new_item(region, kind, value, size)
    local item = alloc(region, ITEM_OVERHEAD + size)
    if item == 0 then
        return 0
    end
    local w, at = region.w, region.base + (item + ITEM_VALUE) * 4
    w[item + ITEM_LENGTH] = size
    if kind == IS_STRING_ITEM then
        C.pygw_shdict_write(at, value, size)
    else
        region.d[CELL / 2] = value
        C.pygw_shdict_copy(at, region.base + CELL * 4, size)
    end
    w[item + STATE] = kind
    return item
end

local function put_left(w, list, item)
    local first = w[list + FIRST]
    w[item + PREV] = 0
    w[item + NEXT] = first
    w[list + FIRST] = item
    if first == 0 then
        w[list + LAST] = item
    else
        w[first + PREV] = item
    end
end

local function put_right(w, list, item)
    local last = w[list + LAST]
    w[item + PREV] = last
    w[item + NEXT] = 0
    if last == 0 then
        w[list + FIRST] = item
    else
        w[last + NEXT] = item
    end
    w[list + LAST] = item
end

local function push(region, key, hash, kind, value, size, left)
    sweep(region)
    local list, err = list_for_push(region, key, hash)
    if not list then
        return list, err
    end
    local w = region.w
    local item = new_item(region, kind, value, size)
    if item == 0 then
        if w[list + LENGTH] == 0 then
            remove(region, list)
        end
        return nil, "no memory"
    end
    if left then
        put_left(w, list, item)
    else
        put_right(w, list, item)
    end
    local length = w[list + LENGTH] + 1
    w[list + LENGTH] = length
    return length
end

-- Put a value at the left or right end. kind: STRING or NUMBER. Returns the new length, or nil (false when the
-- list itself found no room) and an error.
function _M.push(region, key, kind, value, left)
    local size = kind == IS_STRING_ITEM and #value or NUMBER_BYTES
    local length, err = locked(region, push, key, hash_of(region, key), kind, value, size, left)
    if length then
        return length
    end
    return length, err
end

-- The entry of a live list, or 0; 0, err when it is something else.
local function live_list(region, key, hash)
    sweep(region)
    local entry, expired = find(region, key, hash)
    if entry == 0 or expired then
        return 0
    end
    if type_of(region.w, entry) ~= IS_LIST then
        return 0, "value not a list"
    end
    return entry
end

-- Take the first or last of several items out of a list.
local function take_out(w, list, item, left)
    if left then
        local next = w[item + NEXT]
        w[list + FIRST] = next
        w[next + PREV] = 0
    else
        local prev = w[item + PREV]
        w[prev + NEXT] = 0
        w[list + LAST] = prev
    end
    w[list + LENGTH] = w[list + LENGTH] - 1
end

-- Returns NOTHING (then an error if there is something else), TOO_LONG for the buffer of `most` bytes at
-- `address`, or the type of the item; then the number or the length of the string.
local function pop(region, key, hash, left, address, most)
    local list, err = live_list(region, key, hash)
    if list == 0 then
        return NOTHING, err
    end
    local w = region.w
    local item = w[list + (left and FIRST or LAST)]
    local kind, value = w[item + STATE], w[item + ITEM_LENGTH]
    local from = region.base + (item + ITEM_VALUE) * 4
    if kind == IS_NUMBER_ITEM then
        C.pygw_shdict_copy(region.base + CELL * 4, from, value)
        value = region.d[CELL / 2]
    elseif value > most then
        return TOO_LONG, value
    else
        C.pygw_shdict_copy(address, from, value)
    end
    if w[list + LENGTH] == 1 then
        remove(region, list)
    else
        take_out(w, list, item, left)
        free(region, item)
    end
    return kind, value
end

-- The buffer is nobody else's: a finalizer may come before it has been read, and the item is gone by then.
local function pop_through(region, key, left, size)
    local buffer = ffi.new("uint8_t[?]", size)
    local address = tonumber(ffi.cast("uintptr_t", buffer))
    local kind, value = locked(region, pop, key, hash_of(region, key), left, address, size)
    if kind == IS_STRING_ITEM then
        return ffi_string(buffer, value)
    elseif kind == IS_NUMBER_ITEM then
        return value
    elseif kind == TOO_LONG then
        return pop_through(region, key, left, value)
    elseif value then
        return nil, value
    end
    return nil
end

-- Take the value at the left or right end; the list goes with its last one.
function _M.pop(region, key, left)
    return pop_through(region, key, left, USUAL_SIZE)
end

local function llen(region, key, hash)
    local list, err = live_list(region, key, hash)
    if list == 0 then
        return err and -1 or 0
    end
    return region.w[list + LENGTH]
end

-- The number of values: 0 when there is no list.
function _M.llen(region, key)
    local length = locked(region, llen, key, hash_of(region, key))
    if length == -1 then
        return nil, "value not a list"
    end
    return length
end

return _M
