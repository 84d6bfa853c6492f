-- Owns the pieces of memory in a region: slots of 2^shift bytes in pages of their own, or whole pages, as
-- nginx's ngx_slab.c hands them out. Must never know what is in them, but for STATE being 0 in what is free.
local bit = require "bit"
local ffi = require "ffi"
local layout = require "ngx.shdict.layout"
local pages = require "ngx.shdict.pages"
local rings = require "ngx.shdict.rings"

local C = ffi.C
local ceil, floor, max = math.ceil, math.floor, math.max
local lshift, rshift = bit.lshift, bit.rshift
local take, give = pages.take, pages.give
local link_first, unlink = rings.link_first, rings.unlink
local KIND, USED, FREE, FRESH, TAIL = layout.KIND, layout.USED, layout.FREE, layout.FRESH, layout.TAIL
local STATE, LINK, NEXT, CLASSES = layout.STATE, layout.LINK, layout.NEXT, layout.CLASSES
local PAGE, WORDS = layout.PAGE, layout.DESCRIPTOR_WORDS
local MIN_SHIFT, MAX_SHIFT = layout.MIN_SHIFT, layout.MAX_SHIFT

ffi.cdef [[
void pygw_shdict_fill(uintptr_t to, int byte, size_t count) __asm__("memset");
]]

local LARGEST_SLOT = 2 ^ MAX_SHIFT
local EXACT_SHIFT = 6             -- nginx: below, a page's bitmap takes some of its slots

local capacity = ffi.new("int32_t[?]", MAX_SHIFT + 1) -- slots of a page, by shift
local shifts = ffi.new("uint8_t[?]", LARGEST_SLOT + 1) -- by the bytes wanted

for shift = MIN_SHIFT, MAX_SHIFT do
    local slots = PAGE / 2 ^ shift
    if shift < EXACT_SHIFT then
        slots = slots - max(1, floor(slots / (8 * 2 ^ shift)))
    end
    capacity[shift] = slots
    for bytes = shift == MIN_SHIFT and 0 or 2 ^ (shift - 1) + 1, 2 ^ shift do
        shifts[bytes] = shift
    end
end

local _M = { capacity = capacity, shifts = shifts }

-- The descriptor of the page that a slot is in.
local function descriptor(region, slot)
    return region.descriptors + rshift(slot - region.pages, 10) * WORDS
end

-- The first word of the page of a descriptor.
local function start(region, page)
    return region.pages + (page - region.descriptors) * (layout.PAGE_WORDS / WORDS)
end

-- Take whole pages. Nothing in them may look alive before KIND vouches for them.
local function alloc_pages(region, bytes)
    local count = ceil(bytes / PAGE)
    local page = take(region, count)
    if page == 0 then
        return 0
    end
    local w, slot = region.w, start(region, page)
    w[slot + STATE] = 0
    if count > 1 then
        w[page + (count - 1) * WORDS + KIND] = TAIL
    end
    w[page + KIND] = -count
    return slot
end

-- Turn a free page into one of empty slots. Returns its descriptor or 0.
local function alloc_class(region, shift)
    local page = take(region, 1)
    if page == 0 then
        return 0
    end
    local w, first = region.w, start(region, page)
    C.pygw_shdict_fill(region.base + first * 4, 0, PAGE)
    w[page + KIND] = shift
    w[page + USED], w[page + FREE], w[page + FRESH] = 0, 0, first
    link_first(w, CLASSES + shift * WORDS, page)
    return page
end

-- Take a piece of `bytes`. Returns its first word, or 0 when there is no room. Its STATE is 0.
function _M.alloc(region, bytes)
    if bytes > LARGEST_SLOT then
        return alloc_pages(region, bytes)
    end
    local w, shift = region.w, shifts[bytes]
    local class = CLASSES + shift * WORDS
    local page = w[class + NEXT]
    if page == class then
        page = alloc_class(region, shift)
        if page == 0 then
            return 0
        end
    end
    local slot = w[page + FREE]
    if slot ~= 0 then
        w[page + FREE] = w[slot + LINK]
    else
        slot = w[page + FRESH]
        w[page + FRESH] = slot + lshift(1, shift - 2)
    end
    local used = w[page + USED] + 1
    w[page + USED] = used
    if used == capacity[shift] then
        unlink(w, page)
    end
    return slot
end

-- Give a piece back; its STATE becomes 0 first of all.
function _M.free(region, slot)
    local w, page = region.w, descriptor(region, slot)
    w[slot + STATE] = 0
    local kind = w[page + KIND]
    if kind < 0 then
        w[page - (kind + 1) * WORDS + KIND] = 0
        w[page + KIND] = 0
        return give(region, page, -kind)
    end
    local used = w[page + USED]
    if used == capacity[kind] then
        link_first(w, CLASSES + kind * WORDS, page)
    end
    w[slot + LINK] = w[page + FREE]
    w[page + FREE] = slot
    w[page + USED] = used - 1
    if used == 1 then
        unlink(w, page)
        w[page + KIND] = 0
        return give(region, page, 1)
    end
end

-- Make one run of all pages of a new region.
function _M.init(region)
    local count = rshift(region.last - region.pages, 10)
    region.w[layout.FREE_PAGES] = count
    return pages.add_run(region.w, region.descriptors, count)
end

_M.descriptor, _M.start = descriptor, start

return _M
