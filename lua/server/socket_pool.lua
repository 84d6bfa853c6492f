-- Owns the pools of idle cosocket connections: one per key and worker, bounded, the least recently used
-- connection goes first; and the queue of those who wait for a place in a pool with a backlog.
local ffi = require "ffi"
local bridge = require "server.bridge"
local cdefs = require "server.cdefs"
local clock = require "server.clock"
local current = require "server.current"
local streams = require "server.stream"
local task = require "server.task"

local C = ffi.C
local ipairs, setmetatable, type = ipairs, setmetatable, type
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

-- Give out an idle connection {stream, input, reused}, or the right to open one (true).
local function grant(self)
    local connection = remove(self.idle)
    if connection then
        connection.stream:set_idle(nil)
        return connection
    end
    self.open = self.open + 1
    return true
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

local one_byte = ffi.new("uint8_t[1]")

-- Why the connection cannot be kept for another use, or nil.
function Connection:unfit()
    local stream = self.stream
    if self.input.buffer then
        return "unread data in buffer"
    elseif not stream.readable then
        return nil
    end
    local n = C.pygw_recv(stream.fd, one_byte, 1, cdefs.MSG_PEEK)
    if n == 0 then
        return "closed"
    elseif n > 0 then
        return "connection in dubious state"
    end
    local errno = ffi.errno()
    if errno ~= cdefs.EAGAIN then
        return streams.error_text(errno)
    end
    stream.readable = false
    return nil
end

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
        bridge.cancel(self.timer)
        self.timer = nil
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
        place.granted = grant(self)
        task.wake(place.task, place.granted)
    end
end

-- Get an idle connection, or the right to open one (true); if there is a backlog, wait for it up to
-- `seconds`. socket.place stands for what was granted until the socket takes it, as its task may be
-- killed before. Returns nil and an error text when there is none.
function Pool:acquire(socket, seconds)
    if not self.backlog or #self.idle > 0 or self.open < self.size then
        return grant(self)
    end
    if #self.queue >= self.backlog then
        return nil, "too many waiting connect operations"
    end
    local place = setmetatable({ task = current.task, pool = self }, Place)
    self.queue[#self.queue + 1] = place
    place.timer = bridge.call_at(clock.monotonic() + seconds, place)
    socket.place = place
    local granted, err = task.wait(place)
    socket.place = nil
    return granted, err
end

-- Take back what a dead task was granted.
function Place:release()
    local granted = self.granted
    if type(granted) == "table" then
        granted.stream:close()
    end
    if granted then
        return self.pool:closed()
    end
end

return _M
