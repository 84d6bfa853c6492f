-- Owns the check of a region of shared memory: walks everything in it and says what does not fit together.
-- Must be called while nobody changes the region, and must never change it itself.
local bit = require "bit"
local ffi = require "ffi"
local hash = require "ngx.shdict.hash"
local layout = require "ngx.shdict.layout"
local slab = require "ngx.shdict.slab"

local band, rshift = bit.band, bit.rshift
local capacity, shifts, start, descriptor = slab.capacity, slab.shifts, slab.start, slab.descriptor
local L = layout

local function fail(...)
    error(string.format(...), 0)
end

local function expect(found, wanted, ...)
    if found ~= wanted then
        fail("%s: %s instead of %s", string.format(...), tostring(found), tostring(wanted))
    end
end

-- What stands in a ring, as a set and a count, both ways round.
local function ring(region, head, what)
    local w, members, count = region.w, {}, 0
    local node, prev = w[head + L.NEXT], head
    while node ~= head do
        if members[node] or node <= 0 or node >= region.last then
            fail("the ring of %s is broken at %d", what, node)
        end
        expect(w[node + L.PREV], prev, "PREV of %d in the ring of %s", node, what)
        members[node], count = true, count + 1
        node, prev = w[node + L.NEXT], node
    end
    expect(w[head + L.PREV], prev, "the end of the ring of %s", what)
    return members, count
end

-- The slots of a page that are free, by its list and its count.
local function free_slots(region, page, kind)
    local w, free = region.w, {}
    local first, step = start(region, page), 2 ^ (kind - 2)
    local slot = w[page + L.FREE]
    while slot ~= 0 do
        if free[slot] or slot < first or slot >= first + 1024 or (slot - first) % step ~= 0 then
            fail("the free slots of page %d are broken at %d", page, slot)
        end
        free[slot] = true
        slot = w[slot + L.LINK]
    end
    local fresh = w[page + L.FRESH]
    if fresh ~= 0 then
        for at = fresh, first + (capacity[kind] - 1) * step, step do
            free[at] = true
        end
    end
    return free
end

local function check_slots(region, page, kind, live)
    local w, used = region.w, 0
    local free = free_slots(region, page, kind)
    local first, step = start(region, page), 2 ^ (kind - 2)
    for slot = first, first + (capacity[kind] - 1) * step, step do
        if w[slot] == 0 then
            expect(free[slot], true, "slot %d is not in use, in the list of free ones", slot)
        else
            expect(free[slot], nil, "slot %d is in use, in the list of free ones", slot)
            used = used + 1
            live[slot] = kind
        end
    end
    expect(w[page + L.USED], used, "USED of page %d", page)
    return used
end

-- The pages. Returns the live slots with the kind of their page.
local function check_pages(region)
    local w, live, free, partial, runs = region.w, {}, 0, {}, {}
    for shift = L.MIN_SHIFT, L.MAX_SHIFT do
        partial[shift] = ring(region, L.CLASSES + shift * L.DESCRIPTOR_WORDS, "class " .. shift)
    end
    local page, run = region.descriptors, nil
    while page < region.buckets do
        local kind, count = w[page + L.KIND], 1
        if kind == 0 then
            run = run or page
            runs[run] = (runs[run] or 0) + 1
            free = free + 1
        else
            run = nil
        end
        if kind < 0 then
            count = -kind
            live[start(region, page)] = kind
            expect(w[start(region, page)] ~= 0, true, "pages %d hold something", page)
            for i = 1, count - 1 do
                local wanted = i == count - 1 and L.TAIL or 0
                expect(w[page + i * L.DESCRIPTOR_WORDS + L.KIND], wanted, "KIND of page %d of %d", i, page)
            end
        elseif kind > 0 then
            if kind < L.MIN_SHIFT or kind > L.MAX_SHIFT then
                fail("KIND of page %d is %d", page, kind)
            end
            local used = check_slots(region, page, kind, live)
            expect(used > 0, true, "page %d has slots in use", page)
            expect(partial[kind][page] or false, used < capacity[kind], "page %d is in the ring of its class", page)
            partial[kind][page] = nil
        end
        page = page + count * L.DESCRIPTOR_WORDS
    end
    expect(w[L.FREE_PAGES], free, "FREE_PAGES")
    for shift, left in pairs(partial) do
        expect(next(left), nil, "a strange page in the ring of class %d", shift)
    end
    local members = ring(region, L.RUNS, "runs")
    for first, count in pairs(runs) do
        expect(members[first], true, "the run at %d is in the ring", first)
        expect(w[first + L.USED], count, "the length of the run at %d", first)
        expect(w[first + (count - 1) * L.DESCRIPTOR_WORDS + L.HEAD], first, "HEAD of the run at %d", first)
        members[first] = nil
    end
    expect(next(members), nil, "a strange run in the ring")
    return live
end

local function key_of(region, entry)
    local bytes = ffi.cast("const char *", region.w + entry + L.KEY)
    return ffi.string(bytes, rshift(region.w[entry], 4))
end

-- The hash: every entry in the chain of its bucket, once. Returns the entries by key.
local function check_chains(region, live)
    local w, keys, seen = region.w, {}, {}
    for i = 0, region.mask do
        local entry = w[region.buckets + i]
        while entry ~= 0 do
            expect(seen[entry], nil, "entry %d is in one chain only", entry)
            if not live[entry] or band(w[entry], 15) >= L.IS_NUMBER_ITEM then
                fail("%d in the chain of bucket %d is no entry", entry, i)
            end
            seen[entry] = true
            local key = key_of(region, entry)
            expect(keys[key], nil, "key %q stands there once", key)
            keys[key] = entry
            expect(w[entry + L.HASH], hash(key, w[L.SEED], w[L.SEED + 1]), "the hash of %q", key)
            expect(band(w[entry + L.HASH], region.mask), i, "the bucket of %q", key)
            entry = w[entry + L.CHAIN]
        end
    end
    return keys
end

-- What the KIND of a page must be for a piece of so many bytes.
local function kind_for(bytes)
    return bytes > 2048 and -math.ceil(bytes / L.PAGE) or shifts[bytes]
end

local function check_list(region, list, live, reached)
    local w, count, prev = region.w, 0, 0
    local item = w[list + L.FIRST]
    while item ~= 0 do
        expect(reached[item], nil, "item %d is in one list only", item)
        local kind = band(w[item], 15)
        if not live[item] or kind ~= L.IS_NUMBER_ITEM and kind ~= L.IS_STRING_ITEM then
            fail("%d in list %d is no item", item, list)
        end
        expect(live[item], kind_for(L.ITEM_OVERHEAD + w[item + L.ITEM_LENGTH]), "the slot's size of item %d", item)
        reached[item] = true
        expect(w[item + L.PREV], prev, "PREV of item %d", item)
        count, prev, item = count + 1, item, w[item + L.NEXT]
    end
    expect(w[list + L.LAST], prev, "LAST of list %d", list)
    expect(w[list + L.LENGTH], count, "LENGTH of list %d", list)
    expect(count > 0, true, "list %d holds something", list)
end

local function check_size(region, entry, kind, is_list)
    local w, key = region.w, rshift(region.w[entry], 4)
    local bytes = L.ENTRY_OVERHEAD + key + (is_list and L.LIST_HEAD or w[entry + L.LENGTH])
    if is_list then
        bytes = math.ceil(bytes / 8) * 8
    end
    expect(kind, kind_for(bytes), "the slot's size of entry %d", entry)
end

-- Raises what is wrong with a region; returns {entries, items}: how many there are.
return function(region)
    local w = region.w
    expect(w[L.BEGUN], w[L.DONE], "BEGUN")
    local live = check_pages(region)
    local keys = check_chains(region, live)
    local recent, count = ring(region, L.RING, "entries")
    local reached, entries, items, reserved = {}, 0, 0, 0
    for _, entry in pairs(keys) do
        expect(recent[entry], true, "entry %d is in the order of use", entry)
        local is_list = band(w[entry], 15) == L.IS_LIST
        check_size(region, entry, live[entry], is_list)
        if is_list then
            check_list(region, entry, live, reached)
        end
        entries = entries + 1
    end
    expect(count, entries, "the length of the order of use")
    for slot in pairs(live) do
        local kind = w[slot]
        if kind == L.IS_RESERVED then
            reserved = reserved + 1
        elseif band(kind, 15) >= L.IS_NUMBER_ITEM then
            expect(reached[slot], true, "item %d is in a list", slot)
            items = items + 1
        else
            expect(recent[slot], true, "the live slot %d is an entry", slot)
        end
        expect(descriptor(region, slot) >= region.descriptors, true, "the page of %d", slot)
    end
    expect(reserved, 2, "what nginx would have for itself")
    return { entries = entries, items = items }
end
