-- Owns the layout of a shared dictionary's region of memory: where each field lies, and how large the
-- parts are for a dictionary of so many bytes. Must never touch a region.
--
-- A region is an array of 32-bit words; "at" means an index into it. What it holds:
--
--   header        64 KiB: the words below, then a mutex for each process that has the region open
--   descriptors   8 words a page
--   buckets       a word each, the first entry of a chain of the hash
--   pages         4 KiB each: what the size that was declared is spent on
--
-- The pages are nginx's, in number, in what an entry takes of them and in the order in which they are
-- taken, so that a dictionary holds as much here as there. Everything else comes on top.
--
-- Truth and index. Four kinds of words are the truth: KIND of a page, STATE of a slot, the fields of what
-- lives in a slot, NEXT of a list's items. All else (buckets, chains, the order of use, free slots, free
-- pages, counts) is an index that repair.lua can make anew from the truth. Whoever changes the truth does
-- so by one store of one word, at a moment when everything that this word vouches for is already there.
local ceil, floor, max = math.ceil, math.floor, math.max

local PAGE, PAGE_WORDS = 4096, 1024
local DESCRIPTOR_WORDS = 8
local HEADER = 65536              -- bytes

local _M = {
    PAGE = PAGE, PAGE_WORDS = PAGE_WORDS, DESCRIPTOR_WORDS = DESCRIPTOR_WORDS,

    -- The header.
    MAGIC = 0,                    -- set once everything else is in place
    SEED = 1,                     -- and the next word: the key of the hash
    LOCK = 16,                    -- the slot number of the process that holds the lock, or FREE
    RING = 32,                    -- a pseudo-entry: the ring of entries, the most recently used one first
    BEGUN = 40, DONE = 41,        -- differ while the entry at WRITTEN is being overwritten in place
    WRITTEN = 42,
    FREE_PAGES = 43,
    REPAIRS = 46,                 -- how often the region has been mended
    CELL = 44,                    -- a double: a number on its way to or from where none may lie aligned
    RUNS = 48,                    -- a pseudo-descriptor: the ring of runs of free pages
    CLASSES = 48,                 -- + 8 * shift: those of the pages that have free slots of 2^shift bytes
    MUTEXES = 1024,               -- + 16 * slot number: see lock.lua
    SLOTS = 900,                  -- how many processes at most

    -- PREV and NEXT are the same in everything that stands in a ring.
    PREV = 3, NEXT = 4,

    -- A descriptor of a page.
    KIND = 0,                     -- 0: free; a shift: slots of 2^shift bytes; TAIL; -n: the first of n pages
    USED = 1,                     -- slots in use; of the first page of a free run: how many pages it has
    FREE = 2,                     -- the first of the free slots that have been in use, or 0
    FRESH = 5,                    -- the first of those that have not
    HEAD = 6,                     -- of the last page of a free run: the run's first descriptor
    TAIL = 1,                     -- the last page of a piece of several: not free, and not its first

    -- What is in a slot: an entry, a list's item, or nothing.
    STATE = 0,                    -- 0: free; else a type below + 16 * the length of the key in bytes
    LINK = 1,                     -- of a free slot: the next free one of its page

    -- An entry.
    HASH = 1, CHAIN = 2,          -- the next entry of its bucket, or 0
    LENGTH = 5,                   -- bytes of the value; of a list, the number of its items
    EXPIRES = 6,                  -- a double: monotonic ms, 0 = never
    FLAGS = 8,
    MARK = 9,                     -- repair.lua's
    NUMBER = 10,                  -- a double; or one word: of a boolean, 1 or 0
    FIRST = 10, LAST = 11,        -- of a list: its items at the ends
    KEY = 12,                     -- the bytes of the key, then those of a string

    -- An item of a list, in the ring of no one: 0 ends it on both sides.
    ITEM_MARK = 1, ITEM_LENGTH = 2,
    ITEM_VALUE = 5,

    -- The types in STATE; those of values are Lua's own numbers of them.
    IS_BOOLEAN = 1, IS_NUMBER = 3, IS_STRING = 4, IS_LIST = 5,
    IS_NUMBER_ITEM = 8, IS_STRING_ITEM = 9, IS_RESERVED = 10,

    -- What nginx spends beside key and value (bytes): it sets what fits, our own fields are fewer.
    ENTRY_OVERHEAD = 68, LIST_HEAD = 16, ITEM_OVERHEAD = 21,
    ZONE_STATE = 80, ZONE_LABEL = 28,

    MIN_SHIFT = 3, MAX_SHIFT = 11,
}

local POOL_HEADER = 704           -- nginx's pool, its nine size classes and their statistics
local PAGE_HEADER = 24            -- nginx's descriptor of a page
local SMALLEST_ENTRY = 128

local function power_of_two(wanted)
    local power = 1
    while power < wanted do
        power = power * 2
    end
    return power
end

-- How many pages nginx finds in a zone of `size` bytes.
local function page_count(size)
    local pages = floor((size - POOL_HEADER) / (PAGE + PAGE_HEADER))
    local start = ceil((POOL_HEADER + pages * PAGE_HEADER) / PAGE) * PAGE
    return math.min(pages, floor((size - start) / PAGE))
end

-- The parts of a region for a dictionary of `size` bytes: {descriptors, buckets, pages, last} as indexes
-- of words (`last`: past the last page), `mask` of the hash, and `bytes` of the whole.
function _M.geometry(size)
    local count = page_count(size)
    local chains = power_of_two(max(16, size / SMALLEST_ENTRY))
    local descriptors = HEADER / 4
    local buckets = descriptors + count * DESCRIPTOR_WORDS
    local pages = ceil((buckets + chains) / PAGE_WORDS) * PAGE_WORDS
    local last = pages + count * PAGE_WORDS
    return {
        descriptors = descriptors, buckets = buckets, pages = pages, last = last,
        mask = chains - 1, bytes = last * 4,
    }
end

return _M
