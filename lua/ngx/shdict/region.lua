-- Owns the regions of memory of dictionaries: making, formatting, lending them. Must never read what they hold.
--
-- A region is a table: w and d, the memory as 32-bit integers and as doubles; base, its address as a number;
-- lock, the address of the lock word; size, what was declared; descriptors, buckets, pages, last, mask, as
-- layout.geometry gives them; hashes; lent, whether another VM has it, too; me and joined, which are lock.lua's.
local ffi = require "ffi"
local hashes = require "ngx.shdict.hashes"
local layout = require "ngx.shdict.layout"
local lock = require "ngx.shdict.lock"
local map = require("ngx.shdict.mapping").map
local rings = require "ngx.shdict.rings"
local slab = require "ngx.shdict.slab"

local C = ffi.C
local cast = ffi.cast
local type = type
local MAGIC, RING, CLASSES = layout.MAGIC, layout.RING, layout.CLASSES

ffi.cdef [[
int pygw_shdict_truncate(int fd, long length) __asm__("ftruncate");
int pygw_shdict_lockf(int fd, int command, long length) __asm__("lockf");
int pygw_shdict_random(void *bytes, size_t length, unsigned int flags) __asm__("getrandom");
]]

local F_ULOCK, F_LOCK = 0, 1
local EINTR = 4
local FORMATTED = 0x70796777      -- changes with the layout

local KIND = {}

local _M = {}

-- Whether a value is a region, whatever Lua code hands in.
function _M.is_region(value)
    return type(value) == "table" and value.kind == KIND
end

local function failed(what)
    return nil, "cannot " .. what .. ": errno " .. ffi.errno()
end

-- Take what nginx takes for itself of a new zone.
local function reserve(region, bytes)
    local slot = slab.alloc(region, bytes)
    if slot == 0 then
        return nil, "too small a shared dictionary"
    end
    region.w[slot + layout.STATE] = layout.IS_RESERVED
    return true
end

-- Make an empty dictionary of a region whose words are all 0.
local function format(region, shared)
    local w = region.w
    C.pygw_shdict_random(w + layout.SEED, 8, 0)
    lock.init(region, shared)
    rings.init(w, RING)
    rings.init(w, layout.RUNS)
    for shift = layout.MIN_SHIFT, layout.MAX_SHIFT do
        rings.init(w, CLASSES + shift * layout.DESCRIPTOR_WORDS)
    end
    slab.init(region)
    local ok, err = reserve(region, layout.ZONE_STATE)
    if ok then
        ok, err = reserve(region, layout.ZONE_LABEL + #region.name)
    end
    if not ok then
        return nil, err
    end
    w[MAGIC] = FORMATTED
    return true
end

local function describe(name, size, memory)
    local region = layout.geometry(size)
    region.kind, region.name, region.size = KIND, name, size
    region.w, region.d = cast("int32_t *", memory), cast("double *", memory)
    region.base = tonumber(cast("uintptr_t", memory))
    region.lock = region.base + layout.LOCK * 4
    return region
end

local function ready(region, shared)
    if region.w[MAGIC] ~= FORMATTED then
        local ok, err = format(region, shared)
        if not ok then
            return nil, err
        end
    end
    region.hashes = hashes.new(region.w[layout.SEED], region.w[layout.SEED + 1])
    return region
end

-- Make a region that is mapped until the VM is closed; for longer if a thread may still use it then, or the process
-- holds a mutex in there. Returns nil and an error when there is no memory.
local function mapped(name, size, fd)
    local region
    local memory, err = map(layout.geometry(size).bytes, function()
        region.kind = nil
        return not region.lent and not region.joined
    end, fd)
    if memory then
        region = describe(name, size, memory)
    end
    return region, err
end

-- A region of this Lua VM's own.
function _M.private(name, size)
    local region, err = mapped(name, size)
    if not region then
        return nil, err
    end
    lock.own(region)
    return ready(region, false)
end

-- Hold the file's lock, so that one process only formats it. (A process that dies lets go of it.)
local function exclusively(fd)
    while C.pygw_shdict_lockf(fd, F_LOCK, 0) ~= 0 do
        if ffi.errno() ~= EINTR then
            return failed("lock the file of a shared dictionary")
        end
    end
    return true
end

local function open(name, size, fd)
    if C.pygw_shdict_truncate(fd, layout.geometry(size).bytes) ~= 0 then
        return failed("make room for a shared dictionary")
    end
    local region, err = mapped(name, size, fd)
    if region then
        region, err = ready(region, true)
    end
    if not region then
        return nil, err
    end
    local ok
    ok, err = lock.join(region)
    return ok and region, err
end

-- The region in a file (memfd) that other processes may have open too. fd: stays the caller's; the file is
-- empty, or one that was opened here with the same size. Returns the region, or nil and an error.
function _M.shared(name, size, fd)
    local ok, err = exclusively(fd)
    if not ok then
        return nil, err
    end
    local region
    region, err = open(name, size, fd)
    C.pygw_shdict_lockf(fd, F_ULOCK, 0)
    return region, err
end

-- What another Lua VM of this process needs to `borrow` the region: a table of strings, numbers and booleans.
function _M.lend(region)
    region.lent = true
    return { size = region.size, address = region.base, me = region.me, joined = region.joined }
end

-- The region that another VM of this process has lent. number: which VM of the process this one is, from 1 on.
function _M.borrow(name, lent, number)
    local region = describe(name, lent.size, cast("void *", lent.address))
    lock.accompany(region, lent.me, lent.joined, number)
    return (ready(region))
end

return _M
