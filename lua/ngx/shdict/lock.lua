-- Owns the lock of a region, which survives the death of its holder at any moment, and the errors of what
-- runs under it. Must never know what an entry is.
--
-- The lock is a word: FREE, or the number of the Lua VM that holds it: the slot of its process and, above that,
-- which VM of the process it is. Each process holds, for as long as it lives, the mutex of its slot, a robust
-- one, of which the kernel tells when its owner has died. So the fast path is one compare-and-swap and one
-- store; only who has waited in vain asks for the mutex of the holder's process. To get it means that the
-- holder is no more and that nobody else is mending what it left: mend, take the lock, let go of the mutex.
--
-- What runs under the lock must not allocate in Lua, not even in the interpreter: strings are copied to and fro
-- outside, addresses are numbers, C functions return none or an int. Even so LuaJIT may run a finalizer there, when
-- it leaves a trace. If that asks for the same dictionary, what it wants is done after the operation that it
-- interrupts; it is told nothing.
--
-- An error under the lock (Lua's stack may be full) leaves it held, until the code that failed has come to its end
-- or its next wait (server.critical): then it is POISONED, which the next one treats as a holder that has died.
-- A pcall around each operation would do that at once, but no trace can return through a pcall that it began in.
local atomic = require "ngx.shdict.atomic"
local critical = require "server.critical"
local ffi = require "ffi"
local layout = require "ngx.shdict.layout"
local repair = require "ngx.shdict.repair"

local C = ffi.C
local error, ipairs, min, pcall, select, unpack = error, ipairs, math.min, pcall, select, unpack
local insert = table.insert
local depth = critical.depth
local acquire, release = atomic.acquire, atomic.release
local LOCK, MUTEXES, SLOTS = layout.LOCK, layout.MUTEXES, layout.SLOTS

ffi.cdef [[
int pygw_shdict_attr_init(void *attribute) __asm__("pthread_mutexattr_init");
int pygw_shdict_attr_shared(void *attribute, int shared) __asm__("pthread_mutexattr_setpshared");
int pygw_shdict_attr_robust(void *attribute, int robust) __asm__("pthread_mutexattr_setrobust");
int pygw_shdict_mutex_init(uintptr_t mutex, const void *attribute) __asm__("pthread_mutex_init");
int pygw_shdict_mutex_trylock(uintptr_t mutex) __asm__("pthread_mutex_trylock");
int pygw_shdict_mutex_unlock(uintptr_t mutex) __asm__("pthread_mutex_unlock");
int pygw_shdict_mutex_consistent(uintptr_t mutex) __asm__("pthread_mutex_consistent");
int pygw_shdict_yield(void) __asm__("sched_yield");
int pygw_shdict_usleep(unsigned int microseconds) __asm__("usleep");
]]

local FREE, POISONED, FIRST_SLOT = 0, 1, 2
local VM = 1024                   -- what a VM's number counts in, above the slots
local EOWNERDEAD = 130
local MUTEX_BYTES = 64            -- pthread_mutex_t has 40 (x86-64) or 48 (aarch64)
local PATIENCE = 1024             -- pauses: some tens of microseconds, far longer than most operations
local YIELDS = 10                 -- then sleep between two looks
local SLEEP_FIRST, SLEEP_MOST = 20, 1000 -- microseconds

local regions = {}                -- that this VM uses

local _M = {}

local function mutex(region, slot)
    return region.base + MUTEXES * 4 + slot * MUTEX_BYTES
end

-- The slot of the process of a holder.
local function slot_of(holder)
    return holder % VM
end

-- Try to get the mutex of a slot: only when nobody alive holds it.
local function try(region, slot)
    local result = C.pygw_shdict_mutex_trylock(mutex(region, slot))
    return result == 0 or result == EOWNERDEAD
end

-- Make a mutex usable, whoever died with it. (It is an error, of no effect, when nobody has.)
local function confirm(region, slot)
    C.pygw_shdict_mutex_consistent(mutex(region, slot))
end

local function let_go(region, slot)
    confirm(region, slot)
    C.pygw_shdict_mutex_unlock(mutex(region, slot))
end

-- Mend the region if a VM of the process of `slot`, whose mutex is ours, holds the lock, and make `holder` the one
-- that does. Returns whether it did. Raises what repair raises; then nothing has changed hands.
local function succeed(region, slot, holder)
    local found = region.w[LOCK]
    if found == FREE or slot_of(found) ~= slot then
        return false
    end
    repair(region)
    release(region.lock, holder)
    return true
end

local function inherit(region, slot)
    region.mending = true
    local ok, inherited = pcall(succeed, region, slot, region.me)
    region.mending = false
    let_go(region, slot)
    if not ok then
        error(inherited, 0)
    end
    return inherited
end

local function wait(round)
    if round <= YIELDS then
        return C.pygw_shdict_yield()
    end
    return C.pygw_shdict_usleep(min(SLEEP_FIRST * (round - YIELDS), SLEEP_MOST))
end

-- Get the lock that `owner` has not let go of while we spun. Returns whether we have it: not where it is held by
-- what we interrupt.
local function contend(region, owner)
    for round = 1, math.huge do
        if owner == region.me or region.mending then
            return false
        end
        local slot = slot_of(owner)
        if (owner == POISONED or region.joined) and try(region, slot) and inherit(region, slot) then
            return true
        end
        wait(round)
        owner = acquire(region.lock, region.me, PATIENCE)
        if owner == FREE then
            return true
        end
    end
end

local function defer(region, ...)
    region.deferred = region.deferred or {}
    insert(region.deferred, { n = select("#", ...), ... })
end

-- Leave the lock to the next one as a dead holder would, if an error has left it to us.
local function abandon(region)
    if region.w[LOCK] == region.me then
        release(region.lock, POISONED)
    end
end

-- Finalizers may come in the middle of these, too, and defer more. As of any finalizer, nobody hears of an error.
local function run_deferred(region)
    if region.draining then
        return
    end
    region.draining = true
    while region.deferred do
        local calls = region.deferred
        region.deferred = false
        for _, call in ipairs(calls) do
            if not pcall(_M.locked, region, unpack(call, 1, call.n)) then
                abandon(region)
            end
        end
    end
    region.draining = false
end

-- Run operation(region, a, …) under the lock and return what it returns, four values at most. It must not allocate
-- (see above). Raises what it raises.
function _M.locked(region, operation, a, b, c, d, e, f, g, h, i)
    local owner = acquire(region.lock, region.me, PATIENCE)
    if owner ~= FREE and not contend(region, owner) then
        return defer(region, operation, a, b, c, d, e, f, g, h, i)
    end
    depth[0] = depth[0] + 1
    local p, q, r, s = operation(region, a, b, c, d, e, f, g, h, i)
    depth[0] = depth[0] - 1
    release(region.lock, FREE)
    if region.deferred then
        run_deferred(region)
    end
    return p, q, r, s
end

local function settle()
    for _, region in ipairs(regions) do
        abandon(region)
        region.draining = false
        if region.deferred then
            run_deferred(region)
        end
    end
end

-- Make the lock of a new region, free. shared: whether other processes will join it.
function _M.init(region, shared)
    local attribute = ffi.new("uint64_t[4]")
    C.pygw_shdict_attr_init(attribute)
    C.pygw_shdict_attr_shared(attribute, 1)
    C.pygw_shdict_attr_robust(attribute, 1)
    for slot = POISONED, shared and SLOTS - 1 or POISONED do
        C.pygw_shdict_mutex_init(mutex(region, slot), attribute)
    end
    region.w[LOCK] = FREE
end

local function take(region, me, joined)
    region.me, region.joined = me, joined
    region.mending, region.deferred, region.draining = false, false, false
    insert(regions, region)
end

-- Take a slot in a region that other processes use too. Returns true, or nil and an error when none is left.
function _M.join(region)
    for slot = FIRST_SLOT, SLOTS - 1 do
        if try(region, slot) then
            succeed(region, slot, FREE)
            confirm(region, slot)
            take(region, slot, true)
            return true
        end
    end
    return nil, "too many processes share the dictionary"
end

-- Use a region that no other process does.
function _M.own(region)
    return take(region, FIRST_SLOT, false)
end

-- Use a region as another VM of this process, its `number`th from 1 on, beside the one that is `me` there. That
-- one outlives it.
function _M.accompany(region, me, joined, number)
    return take(region, me + number * VM, joined)
end

critical.on_unended(settle)

return _M
