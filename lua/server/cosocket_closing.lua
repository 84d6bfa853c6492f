-- Owns the end of a cosocket's use of its connection: closing it, giving it to the pool, and the end of the
-- request (or timer) that opened it.
-- Source: the ngx_lua documentation, "tcpsock:close", "tcpsock:setkeepalive", "tcpsock:getreusedtimes".
local argcheck = require "server.argcheck"
local current = require "server.current"
local identity = require "server.identity"
local log = require "server.log"
local pools = require "server.socket_pool"
local state = require "server.cosocket_state"

local error, getmetatable, pairs, select = error, getmetatable, pairs, select

local _M = {}

-- The request's end closes what its code left open: the socket is its own from now on.
function _M.register(self)
    local r = current.request
    local owner = r and r.main or r -- a subrequest's sockets live as long as its main request
    self.request, self.owner = r, owner
    if owner then
        owner.sockets = owner.sockets or {}
        owner.sockets[self] = true
    end
end

-- The socket has nothing open any more.
local function unregister(self)
    local owner = self.owner
    if owner and owner.sockets then
        owner.sockets[self] = nil
    end
end
_M.unregister = unregister

-- Close the connection of the socket.
local function finalize(self)
    local connection = self.connection
    self.connection = nil
    unregister(self)
    log.debug("lua finalize socket")
    log.debug("lua close socket connection")
    connection.input:clear()
    connection.stream:close()
    if connection.pool then
        connection.pool:closed()
    end
end
_M.finalize = finalize

local function is_closed(self)
    return not self.connection or self.read_closed and self.write_closed
end

-- Returns 1, or nil and "closed" or why it cannot be closed now.
function _M.close(self, ...)
    local n = select("#", ...) + 1
    if n ~= 1 then
        error("expecting 1 argument (including the object) but seen " .. n, 2)
    end
    argcheck.check_table(1, 1, self, n)
    if is_closed(self) then
        return nil, state.absent(self)
    end
    state.check_request(self)
    local why = state.busy(self, true, true)
    if why then
        return nil, why
    end
    finalize(self)
    return 1
end

-- How often the connection came out of the pool before.
function _M.getreusedtimes(self, ...)
    local n = select("#", ...) + 1
    if n ~= 1 then
        error("expecting 1 argument (including the object), but got " .. n, 2)
    end
    argcheck.check_table(1, 1, self, n)
    if self.dialing then
        return 0
    elseif is_closed(self) then
        return nil, "closed"
    end
    return self.connection.reused
end

-- Whether the connection is of no use to anybody.
local function spent(self)
    local connection = self.connection
    return not connection or self.read_closed or self.write_closed or connection.stream.hangup
end

local function put_away(self, seconds, size)
    local connection = self.connection
    local pool = pools.get(self.key) or pools.create(self.key, size)
    log.debug("lua tcp socket set keepalive: saving connection fd:", connection.stream.fd)
    log.debug("lua tcp socket keepalive timeout: ", seconds == 0 and "unlimited" or seconds * 1000 .. " ms")
    if not connection:quiet() then
        finalize(self)
        return nil, "connection in dubious state"
    end
    self.connection = nil
    unregister(self)
    pool:put(connection, seconds == 0 and 1e9 or seconds)
    return 1
end

-- Give the connection to the pool. sock:setkeepalive(timeout?, size?): how many milliseconds it may be idle (0:
-- no bound), and the pool's size when it has to be made. Returns 1, or nil and an error text.
function _M.setkeepalive(self, ...)
    local n = select("#", ...) + 1
    if n > 3 then
        error("expecting 1 to 3 arguments (including the object), but got " .. n, 2)
    end
    argcheck.check_table(1, 1, self, n)
    local milliseconds, size = ...
    local settings = state.settings()
    if milliseconds ~= nil then
        milliseconds = argcheck.check_integer(1, 2, milliseconds, n)
    end
    size = size == nil and settings.socket_pool_size or argcheck.check_integer(1, 3, size, n)
    if spent(self) then
        return nil, state.absent(self)
    end
    state.check_request(self)
    local why = state.busy(self, true, true) or self.connection.input.buffer and "unread data in buffer"
    if why then
        return nil, why
    end
    if size <= 0 and not pools.get(self.key) then
        argcheck.fail(1, n, ('bad "pool_size" option value: %d'):format(size))
    end
    if identity.exiting then
        finalize(self)
        return 1
    end
    return put_away(self, milliseconds and milliseconds / 1000 or settings.socket_keepalive_timeout, size)
end

-- What the end of a request does with a TCP socket.
function _M.abandon(self)
    if self.connection then
        finalize(self)
    elseif self.place then
        self.place:release()
    elseif self.claim then
        self.claim:closed()
    end
    self.place, self.claim, self.dialing = nil, nil, false
    unregister(self)
end

local abandon_by = {} -- metatable of a kind of socket -> what the end of a request does with one

-- Have abandon(self) called for the sockets of that metatable that a request leaves behind.
function _M.at_end(metatable, abandon)
    abandon_by[metatable] = abandon
end

-- End whatever a socket is used for, as nobody uses it any more.
local function drop(self)
    return (abandon_by[getmetatable(self)] or _M.abandon)(self)
end
_M.drop = drop

-- Close what the code of a request (or timer) r left open or was doing when it was ended.
function _M.close_all(r)
    local sockets = r.sockets
    r.sockets = nil
    for self in pairs(sockets or {}) do
        drop(self)
        self.request, self.owner = state.OVER, nil
    end
end

return _M
