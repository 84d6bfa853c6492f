-- Owns the accounting of a dictionary's memory: how many pages are left when entries of such sizes are
-- held, as nginx's slab allocator would count them, so that a dictionary holds as much here as there.
-- Must never know what an entry is: it sees sizes only. It ignores fragmentation inside a size class.
local ceil, floor, max = math.ceil, math.floor, math.max

local PAGE = 4096
local PAGE_HEADER = 24            -- nginx's descriptor of a page
local POOL_HEADER = 704           -- the pool, its nine size classes and their statistics
local MIN_SHIFT, MAX_SHIFT = 3, 11
local EXACT_SHIFT = 6             -- from here up, a page's bitmap stands outside the page

-- How many slots of 2^shift bytes a page offers: in classes below 64 bytes the bitmap takes some.
local slots_per_page = {}
-- The class of a request, by its size in units of eight bytes.
local class_of = {}

for shift = MIN_SHIFT, MAX_SHIFT do
    local slots = PAGE / 2 ^ shift
    if shift < EXACT_SHIFT then
        slots = slots - max(1, floor(slots / (8 * 2 ^ shift)))
    end
    slots_per_page[shift] = slots
    for units = 2 ^ (shift - 4) + 1, 2 ^ (shift - 3) do
        class_of[units] = shift
    end
end
class_of[0], class_of[1] = MIN_SHIFT, MIN_SHIFT

local _M = { PAGE = PAGE }

-- The accounting of a zone of `size` bytes, its pool header already taken off.
function _M.new(size)
    local pages = floor((size - POOL_HEADER) / (PAGE + PAGE_HEADER))
    local start = ceil((POOL_HEADER + pages * PAGE_HEADER) / PAGE) * PAGE
    local slab = { free_pages = math.min(pages, floor((size - start) / PAGE)), used = {}, pages = {} }
    for shift = MIN_SHIFT, MAX_SHIFT do
        slab.used[shift], slab.pages[shift] = 0, 0
    end
    return slab
end

-- Take room for one piece of `size` bytes. Returns false when there is none.
function _M.alloc(slab, size)
    local shift = class_of[ceil(size / 8)]
    if not shift then
        local wanted = ceil(size / PAGE)
        if wanted > slab.free_pages then
            return false
        end
        slab.free_pages = slab.free_pages - wanted
        return true
    end
    local used, pages = slab.used[shift], slab.pages[shift]
    if used == pages * slots_per_page[shift] then
        if slab.free_pages == 0 then
            return false
        end
        slab.free_pages = slab.free_pages - 1
        slab.pages[shift] = pages + 1
    end
    slab.used[shift] = used + 1
    return true
end

-- Give back one piece of `size` bytes.
function _M.free(slab, size)
    local shift = class_of[ceil(size / 8)]
    if not shift then
        slab.free_pages = slab.free_pages + ceil(size / PAGE)
        return
    end
    local used = slab.used[shift] - 1
    slab.used[shift] = used
    if used == (slab.pages[shift] - 1) * slots_per_page[shift] then
        slab.pages[shift] = slab.pages[shift] - 1
        slab.free_pages = slab.free_pages + 1
    end
end

return _M
