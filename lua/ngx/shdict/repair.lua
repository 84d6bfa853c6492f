-- Owns the mending of a region whose lock was held by a process that has died, or by an operation that an error
-- cut short. It runs under the lock, must not allocate, and must come to the same end when it is itself cut
-- short and begun again.
--
-- Only the truth is read (layout.lua); the index is made anew from it. What was under way is then either done
-- or not begun, or the entry that it concerned is gone, as if it had been evicted. The order of use
-- is kept, since a ring can be followed by NEXT at any moment (rings.lua).
local bit = require "bit"
local layout = require "ngx.shdict.layout"
local pages = require "ngx.shdict.pages"
local rings = require "ngx.shdict.rings"
local slab = require "ngx.shdict.slab"

local band, lshift, rshift = bit.band, bit.lshift, bit.rshift
local add_run, link_first = pages.add_run, rings.link_first
local descriptor, start, capacity = slab.descriptor, slab.start, slab.capacity
local KIND, USED, FREE, FRESH, TAIL = layout.KIND, layout.USED, layout.FREE, layout.FRESH, layout.TAIL
local STATE, LINK, PREV, NEXT = layout.STATE, layout.LINK, layout.PREV, layout.NEXT
local HASH, CHAIN, MARK, ITEM_MARK = layout.HASH, layout.CHAIN, layout.MARK, layout.ITEM_MARK
local LENGTH, FIRST, LAST = layout.LENGTH, layout.FIRST, layout.LAST
local IS_LIST, IS_NUMBER_ITEM, IS_RESERVED = layout.IS_LIST, layout.IS_NUMBER_ITEM, layout.IS_RESERVED
local RING, CLASSES, WORDS = layout.RING, layout.CLASSES, layout.DESCRIPTOR_WORDS

local SMALLEST_SLOT = 8           -- words of a slot that an entry or an item can be in

local function is_entry(state)
    return state ~= 0 and band(state, 15) < IS_NUMBER_ITEM
end

local function is_item(state)
    return band(state, 15) >= IS_NUMBER_ITEM and state ~= IS_RESERVED
end

-- The words from one slot to the next, and how many there are, in a page of a kind.
local function steps(kind)
    if kind < 0 then
        return layout.PAGE_WORDS, 1
    end
    return lshift(1, kind - 2), capacity[kind]
end

-- Call visit(region, slot, state) for every slot that is in use.
local function each(region, visit)
    local w = region.w
    for page = region.descriptors, region.buckets - WORDS, WORDS do
        local kind = w[page + KIND]
        if kind ~= 0 and kind ~= TAIL then
            local step, count = steps(kind)
            local first = start(region, page)
            for slot = first, first + step * (count - 1), step do
                if w[slot + STATE] ~= 0 then
                    visit(region, slot, w[slot + STATE])
                end
            end
        end
    end
end

-- What was being overwritten is neither the old nor the new.
local function drop_half_written(w)
    if w[layout.BEGUN] ~= w[layout.DONE] then
        w[w[layout.WRITTEN] + STATE] = 0
        w[layout.DONE] = w[layout.BEGUN]
    end
end

local function unmark(region, slot, state)
    region.w[slot + (is_item(state) and ITEM_MARK or MARK)] = 0
end

-- Count and mark the items of a list and join them backwards too.
local function mend_list(region, list, state)
    if band(state, 15) ~= IS_LIST then
        return
    end
    local w, length, last = region.w, 0, 0
    local item = w[list + FIRST]
    while item ~= 0 do
        w[item + ITEM_MARK] = 1
        w[item + PREV] = last
        length, last = length + 1, item
        item = w[item + NEXT]
    end
    w[list + LAST], w[list + LENGTH] = last, length
    if length == 0 then
        w[list + STATE] = 0
    end
end

local function drop_orphan(region, slot, state)
    if is_item(state) and region.w[slot + ITEM_MARK] == 0 then
        region.w[slot + STATE] = 0
    end
end

-- Whether a slot begins at this word.
local function is_slot(region, at)
    if at < region.pages or at >= region.last then
        return false
    end
    local page = descriptor(region, at)
    local kind, offset = region.w[page + KIND], at - start(region, page)
    if kind == 0 or kind == TAIL then
        return false
    end
    local step, count = steps(kind)
    return offset % step == 0 and offset < step * count
end

local function add_unplaced(region, slot, state)
    local w = region.w
    if is_entry(state) and w[slot + MARK] == 0 then
        w[slot + MARK] = 1
        link_first(w, RING, slot)
    end
end

-- Keep the order of use; the entry that was on its way has been used last.
local function mend_ring(region)
    local w, last, node = region.w, RING, region.w[RING + NEXT]
    local patience = rshift(region.last, 3) / SMALLEST_SLOT * 8
    while node ~= RING and is_slot(region, node) and patience > 0 do
        local next = w[node + NEXT]
        if is_entry(w[node + STATE]) and w[node + MARK] == 0 then
            w[node + MARK] = 1
            w[last + NEXT] = node
            w[node + PREV] = last
            last = node
        end
        node, patience = next, patience - 1
    end
    w[last + NEXT] = RING
    w[RING + PREV] = last
    each(region, add_unplaced)
end

local function add_to_chain(region, slot, state)
    if is_entry(state) then
        local w = region.w
        local at = region.buckets + band(w[slot + HASH], region.mask)
        w[slot + CHAIN] = w[at]
        w[at] = slot
    end
end

local function mend_chains(region)
    for at = region.buckets, region.buckets + region.mask do
        region.w[at] = 0
    end
    each(region, add_to_chain)
end

-- Find the free slots of a page. Returns how many pages it is the first of: 0 when it is free.
local function mend_page(region, page)
    local w, kind = region.w, region.w[page + KIND]
    local first = start(region, page)
    if kind < 0 then
        return w[first + STATE] ~= 0 and -kind or 0
    elseif kind == 0 or kind == TAIL then
        return 0
    end
    local step, count = steps(kind)
    local used, free = 0, 0
    for slot = first + step * (count - 1), first, -step do
        if w[slot + STATE] ~= 0 then
            used = used + 1
        else
            w[slot + LINK] = free
            free = slot
        end
    end
    w[page + USED], w[page + FREE], w[page + FRESH] = used, free, 0
    if used > 0 and used < count then
        link_first(w, CLASSES + kind * WORDS, page)
    end
    return used > 0 and 1 or 0
end

local function mend_pages(region)
    local w = region.w
    for shift = 0, layout.MAX_SHIFT do -- 0: the runs
        rings.init(w, CLASSES + shift * WORDS)
    end
    local page, run, free = region.descriptors, 0, 0
    while page < region.buckets do
        local count = mend_page(region, page)
        if count == 0 then
            w[page + KIND] = 0
            run, free = run + 1, free + 1
            page = page + WORDS
        end
        if run > 0 and (count > 0 or page == region.buckets) then
            add_run(w, page - run * WORDS, run)
            run = 0
        end
        page = page + count * WORDS
    end
    w[layout.FREE_PAGES] = free
end

-- Mend a region. See above.
return function(region)
    region.w[layout.REPAIRS] = region.w[layout.REPAIRS] + 1
    drop_half_written(region.w)
    each(region, unmark)
    each(region, mend_list)
    each(region, drop_orphan)
    mend_ring(region)
    mend_chains(region)
    mend_pages(region)
end
