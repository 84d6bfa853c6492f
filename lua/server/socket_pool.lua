-- Owns the pools of idle cosocket connections: one per key and worker, bounded, the least recently used
-- connection goes first; and the queue of those who wait for a place in a pool with a backlog.
-- Source: the ngx_lua documentation, "tcpsock:connect" and "tcpsock:setkeepalive".
local ffi = require "ffi"
local bridge = require "server.bridge"
local clock = require "server.clock"
local current = require "server.current"
local log = require "server.log"
local task = require "server.task"

local monotonic = clock.monotonic
local ipairs, setmetatable, type = ipairs, setmetatable, type
local insert, remove = table.insert, table.remove

local Pool = {}
Pool.__index = Pool

local _M = {}

local pools = {}

-- The pool of that key, or nil.
function _M.get(key)
    return pools[key]
end

-- Make the pool of that key. size: idle connections at most (and, with a backlog, open ones); backlog: how many
-- connects may wait for a place, nil: no bound on open connections.
function _M.create(key, size, backlog)
    log.debug("lua tcp socket connection pool size: ", size, ", backlog: ", backlog or -1)
    log.debug('lua tcp socket keepalive create connection pool for key "', key, '"')
    local pool = setmetatable({ key = key, size = size, backlog = backlog, open = 0, idle = {}, queue = {} }, Pool)
    pools[key] = pool
    return pool
end

-- Give out an idle connection {stream, input, reused, …}, or the right to open one (true).
local function grant(self)
    local connection = remove(self.idle)
    if connection then
        connection.stream:set_idle(nil)
        connection.reused = connection.reused + 1
        log.debug("lua tcp socket get keepalive peer: using connection fd:", connection.stream.fd)
        return connection
    end
    self.open = self.open + 1
    return true
end

-- Keep a connection for at most `seconds`. It counts as one of the pool's from now on.
function Pool:put(connection, seconds)
    local idle = self.idle
    if #idle >= self.size then
        local oldest = remove(idle, 1)
        oldest.stream:set_idle(nil)
        oldest.stream:close()
        self.open = self.open - 1
    end
    if not connection.pool then
        connection.pool = self
        self.open = self.open + 1
    end
    idle[#idle + 1] = connection
    connection.stream:set_idle(connection, seconds)
    return self:serve_next()
end

-- A connection of this pool is gone, or could not be made.
function Pool:closed()
    self.open = self.open - 1
    if self.open == 0 and #self.queue == 0 then
        log.debug('lua tcp socket keepalive: free connection pool for "', self.key, '"')
        pools[self.key] = nil
        return nil
    end
    return self:serve_next()
end

local Connection = {}
Connection.__index = Connection
_M.Connection = Connection

local one_byte = ffi.new("uint8_t[1]")

-- Whether the peer has said nothing since the connection was put away, nor ended it.
function Connection:quiet()
    local stream = self.stream
    if not stream.readable then
        return true
    end
    local n, err = stream:recv(one_byte, 1)
    return not n and err == "again"
end

-- An idle connection heard something: its timeout, bytes or an end close it; a false alarm does not.
function Connection:on_idle_event(stream)
    if stream.read_deadline > monotonic() and self:quiet() then
        return
    end
    log.debug("lua tcp socket keepalive close handler: fd:", stream.fd)
    local pool = self.pool
    for i = #pool.idle, 1, -1 do
        if pool.idle[i] == self then
            remove(pool.idle, i)
            break
        end
    end
    stream:close()
    return pool:closed()
end

local Place = {}
Place.__index = Place

local function forget(self)
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

function Place:cancel_wait()
    log.debug('lua tcp socket abort queueing for connection pool "', self.pool.key, '"')
    return forget(self)
end

function Place:on_timer()
    self.timer = nil
    forget(self)
    return task.resume(self.task, nil, "timeout")
end

function Pool:serve_next()
    local place = self.queue[1]
    if place and (#self.idle > 0 or self.open < self.size) then
        forget(place)
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
    log.debug('lua tcp socket queue connect operation for connection pool "', self.key, '", connections: ',
        self.open + #self.queue + 1)
    local place = setmetatable({ task = current.task, pool = self }, Place)
    insert(self.queue, place)
    place.timer = bridge.call_at(monotonic() + seconds, place)
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
