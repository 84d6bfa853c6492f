-- Owns pools of Lua tables, by tag, for reuse (API of lua-tablepool).
-- Must never hand out a table that still has a metatable or, unless its releaser wished so, elements.
local clear = require "table.clear"
local new = require "table.new"

local error, setmetatable = error, setmetatable

local MAX_IDLE = 200              -- tables kept per pool; more are left to the collector
-- Tables grow to their largest use and never shrink, so a pool is thrown away after so many releases.
local MAX_RELEASES = 20000

local pools = {}

local function new_pool(tag)
    local pool = { idle = 0, releases = 0 }
    pools[tag] = pool
    return pool
end

local _M = {}

-- A table from the pool `tag`, or a new one with room for narr array and nrec hash elements.
function _M.fetch(tag, narr, nrec)
    local pool = pools[tag]
    local idle = pool and pool.idle or 0
    if idle == 0 then
        return new(narr, nrec)
    end
    local object = pool[idle]
    pool[idle] = nil
    pool.idle = idle - 1
    return object
end

-- Give a table back, emptied and without metatable unless `noclear`. Raises when there is no table.
function _M.release(tag, object, noclear)
    if not object then
        error("object empty", 2)
    end
    local pool = pools[tag] or new_pool(tag)
    pool.releases = pool.releases + 1
    if pool.releases >= MAX_RELEASES then
        new_pool(tag)
        return
    end
    local idle = pool.idle + 1
    if idle > MAX_IDLE then
        return
    end
    if not noclear then
        setmetatable(object, nil)
        clear(object)
    end
    pool[idle] = object
    pool.idle = idle
end

return _M
