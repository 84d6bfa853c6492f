-- Owns the lists of an in-process dictionary: push, pop and length at either end.
-- Must never check arguments (methods.lua does). Pushing evicts nothing: it fails when memory is short,
-- as in ngx_http_lua_shdict.c.
local entries = require "ngx.shdict.entries"
local slab = require "ngx.shdict.slab"

local alloc, free = slab.alloc, slab.free
local find, insert, remove, sweep, item_bytes =
    entries.find, entries.insert, entries.remove, entries.sweep, entries.item_bytes

local _M = {}

local function new_list()
    return { first = 1, last = 0 }
end

local function empty(store, entry)
    entries.free_items(store, entry.list)
    entry.list, entry.expires = new_list(), 0
    entries.touch(store, entry)
end

-- The list at `key`, made if need be. Returns the entry, or a false value and an error.
local function list_for_push(store, key)
    sweep(store)
    local entry, expired = find(store, key)
    if entry and not expired then
        if not entry.list then
            return nil, "value not a list"
        end
        return entry
    end
    if entry and entry.list then
        empty(store, entry)
        return entry
    end
    if entry then
        remove(store, entry)
    end
    entry = insert(store, key, nil, 0, new_list(), true)
    return entry or false, "no memory"
end

-- Put a value at the left or right end. Returns the new length, or nil (false when the list itself
-- found no room) and an error.
function _M.push(store, key, value, left)
    local entry, err = list_for_push(store, key)
    if not entry then
        return entry, err
    end
    local list = entry.list
    if not alloc(store.slab, item_bytes(value)) then
        if list.first > list.last then
            remove(store, entry)
        end
        return nil, "no memory"
    end
    if left then
        list.first = list.first - 1
        list[list.first] = value
    else
        list.last = list.last + 1
        list[list.last] = value
    end
    return list.last - list.first + 1
end

local function take(list, left)
    local at = left and list.first or list.last
    local value = list[at]
    list[at] = nil
    if left then
        list.first = at + 1
    else
        list.last = at - 1
    end
    return value
end

-- The entry of a live list. Returns nil when there is none; nil, err when it is something else.
local function live_list(store, key)
    sweep(store)
    local entry, expired = find(store, key)
    if not entry or expired then
        return nil
    end
    if not entry.list then
        return nil, "value not a list"
    end
    return entry
end

-- Take the value at the left or right end; the list goes with its last one.
function _M.pop(store, key, left)
    local entry, err = live_list(store, key)
    if err then
        return nil, err
    elseif not entry then
        return nil
    end
    local list = entry.list
    local value = take(list, left)
    free(store.slab, item_bytes(value))
    if list.first > list.last then
        remove(store, entry)
    end
    return value
end

-- The number of values: 0 when there is no list.
function _M.llen(store, key)
    local entry, err = live_list(store, key)
    if err then
        return nil, err
    elseif not entry then
        return 0
    end
    return entry.list.last - entry.list.first + 1
end

return _M
