-- Owns the pools of idle cosocket connections: one per key and worker, bounded, the least recently used
-- connection goes first; and the queue of those who wait for a place in a pool with a backlog.
local task = require "server.task"

local setmetatable = setmetatable
local remove = table.remove

local Pool = {}
Pool.__index = Pool

local _M = {}

local pools = {}

-- The pool of that key, made on first use. size: idle connections at most (and, with a backlog, open ones).
-- backlog: how many connects may wait for a place; nil: no bound on open connections.
function _M.get(key, size, backlog)
    local pool = pools[key]
    if not pool then
        pool = setmetatable({
            key = key, size = size, backlog = backlog, open = 0, idle = {}, queue = {},
        }, Pool)
        pools[key] = pool
    end
    return pool
end

-- An idle connection {stream, input, reused}, or nil.
function Pool:take()
    local connection = remove(self.idle)
    if connection then
        connection.stream:set_idle(nil)
    end
    return connection
end

-- Keep a connection for at most `seconds`.
function Pool:put(connection, seconds)
    local idle = self.idle
    if #idle >= self.size then
        local oldest = remove(idle, 1)
        oldest.stream:set_idle(nil)
        oldest.stream:close()
        self.open = self.open - 1
    end
    idle[#idle + 1] = connection
    connection.pool = self
    connection.stream:set_idle(connection, seconds)
    return self:serve_next()
end

-- A connection of this pool is gone.
function Pool:closed()
    self.open = self.open - 1
    if self.open == 0 and #self.queue == 0 then
        pools[self.key] = nil
        return nil
    end
    return self:serve_next()
end

local Connection = {}
Connection.__index = Connection
_M.Connection = Connection

-- An idle connection got bytes, an end, or its timeout: each of them ends it.
function Connection:on_idle_event()
    local pool = self.pool
    for i = #pool.idle, 1, -1 do
        if pool.idle[i] == self then
            remove(pool.idle, i)
            break
        end
    end
    self.stream:close()
    return pool:closed()
end

local Place = {}
Place.__index = Place

function Place:cancel_wait()
    for i, place in ipairs(self.pool.queue) do
        if place == self then
            remove(self.pool.queue, i)
            break
        end
    end
    if self.timer then
        require("server.bridge").cancel(self.timer)
    end
end

function Place:on_timer()
    self.timer = nil
    self:cancel_wait()
    return task.resume(self.task, nil, "timeout")
end

function Pool:serve_next()
    local place = self.queue[1]
    if place and (#self.idle > 0 or self.open < self.size) then
        place:cancel_wait()
        task.wake(place.task, true)
    end
end

-- Wait, if there is a backlog, until the pool has a place. Returns true, or nil and an error text.
function Pool:wait_for_place(running, seconds)
    if not self.backlog or #self.idle > 0 or self.open < self.size then
        return true
    end
    if #self.queue >= self.backlog then
        return nil, "too many waiting connect operations"
    end
    local place = setmetatable({ task = running, pool = self }, Place)
    self.queue[#self.queue + 1] = place
    place.timer = require("server.bridge").call_at(require("server.clock").monotonic() + seconds, place)
    return task.wait(place)
end

return _M
