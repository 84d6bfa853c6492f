-- Owns a death at every store: runs one operation on a dictionary again and again, each time cut short one store
-- later, mends what is left as the next process would, and compares it with what was there before and with
-- what the whole operation makes of it. Must never look at how an operation works.
local bit = require "bit"
local ffi = require "ffi"
local layout = require "ngx.shdict.layout"
local repair = require "ngx.shdict.repair"

local band, rshift = bit.band, bit.rshift
local L = layout

local CUT = {}                    -- the error that is a death

-- Memory that dies at the store after `left` more. Reading is free.
local function mortal(memory, budget)
    return setmetatable({}, {
        __index = function(_, at) return memory[at] end,
        __newindex = function(_, at, value)
            if budget.left == 0 then
                error(CUT, 0)
            end
            budget.left = budget.left - 1
            memory[at] = value
        end,
    })
end

-- Run fn with at most `stores` of them to the region. Returns whether it came to its end.
local function run_mortal(region, stores, fn)
    local w, d, budget = region.w, region.d, { left = stores }
    region.w, region.d = mortal(w, budget), mortal(d, budget)
    local ok, err = pcall(fn)
    region.w, region.d = w, d
    if not ok and err ~= CUT then
        error(err, 0)
    end
    return ok
end

local function text(region, byte, length)
    return ffi.string(ffi.cast("const char *", region.base) + byte, length)
end

local function items(region, list)
    local w, found = region.w, {}
    local item = w[list + L.FIRST]
    while item ~= 0 do
        found[#found + 1] = text(region, (item + L.ITEM_VALUE) * 4, w[item + L.ITEM_LENGTH])
        item = w[item + L.NEXT]
    end
    return table.concat(found, ",")
end

local function value(region, entry, kind, key_length)
    if kind == L.IS_LIST then
        return items(region, entry)
    elseif kind == L.IS_STRING then
        return text(region, (entry + L.KEY) * 4 + key_length, region.w[entry + L.LENGTH])
    elseif kind == L.IS_NUMBER then
        return region.d[entry / 2 + L.NUMBER / 2]
    end
    return region.w[entry + L.NUMBER]
end

-- What a dictionary holds: by key, all that can be asked of an entry in one string; and the keys by recent use.
local function contents(region)
    local w, found, order = region.w, {}, {}
    local entry = w[L.RING + L.NEXT]
    while entry ~= L.RING do
        local kind, length = band(w[entry], 15), rshift(w[entry], 4)
        local key = text(region, (entry + L.KEY) * 4, length)
        local flags, expires = w[entry + L.FLAGS], region.d[entry / 2 + L.EXPIRES / 2]
        found[key] = ("%d %s %d %.17g"):format(kind, value(region, entry, kind, length), flags, expires)
        order[#order + 1] = key
        entry = w[entry + L.NEXT]
    end
    return found, order
end

local function only(order, wanted)
    local left = {}
    for _, key in ipairs(order) do
        if wanted[key] then
            left[#left + 1] = key
        end
    end
    return table.concat(left, " ")
end

-- The keys that an operation leaves as they are, and does not use.
local function bystanders(before, after, touched)
    local keys = {}
    for key, what in pairs(before) do
        keys[key] = what == after[key] and key ~= touched or nil
    end
    return keys
end

-- An entry as it is once it has been made expire (by flush_all).
local function expired(what)
    return what and what:gsub("%S+$", "-1")
end

local function judge(stores, now, before, after, touched)
    for key, what in pairs(now.found) do
        local old, new = before.found[key], after.found[key]
        if what ~= old and what ~= new and not (touched == "*" and what == expired(old)) then
            error(("after %d stores %s is %s"):format(stores, key, what), 0)
        end
    end
    local keys = bystanders(before.found, after.found, touched)
    for key in pairs(keys) do
        if not now.found[key] then
            error(("after %d stores %s is gone"):format(stores, key), 0)
        end
    end
    if only(now.order, keys) ~= only(before.order, keys) then
        error(("after %d stores the order is %s"):format(stores, table.concat(now.order, " ")), 0)
    end
end

local function state(region)
    local found, order = contents(region)
    return { found = found, order = order }
end

-- Cut `operation(dict)` short at every store, and the mending after some of them too. check: shdict_check.lua;
-- touched: the key that it uses, if any; "*": it makes all entries expire. Returns how many stores it makes.
return function(dict, operation, touched, check)
    local region = dict[1]
    local saved = ffi.string(ffi.cast("const char *", region.base), region.bytes)
    local function restore()
        ffi.copy(ffi.cast("char *", region.base), saved, region.bytes)
    end
    local act = function() operation(dict) end
    local before = state(region)
    act()
    local after = state(region)
    check(region)
    local stores, whole = 0, false
    while not whole do
        restore()
        whole = run_mortal(region, stores, act)
        require("server.critical").depth[0] = 0
        if not whole then
            local mends = stores % 7
            while not run_mortal(region, mends * 3, function() repair(region) end) do
                mends = mends * 2 + 1
            end
            region.w[L.LOCK] = 0
            check(region)
            judge(stores, state(region), before, after, touched)
            stores = stores + 1
        end
    end
    restore()
    return stores
end
