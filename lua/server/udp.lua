-- Owns UDP and datagram unix sockets of user code. They work in every phase.
-- Source: the ngx_lua documentation, "ngx.socket.udp".
local ffi = require "ffi"
local address = require "server.address"
local argcheck = require "server.argcheck"
local cdefs = require "server.cdefs"
local closing = require "server.cosocket_closing"
local check_wait = require("server.restrictions").check_wait
local current = require "server.current"
local errno = require "server.errno"
local log = require "server.log"
local resolving = require "server.resolving"
local state = require "server.cosocket_state"
local streams = require "server.stream"
local writing = require "server.cosocket_writing"

local C = ffi.C
local cast, ffi_string = ffi.cast, ffi.string
local error, type, tonumber, tostring, select = error, type, tonumber, tostring, select
local setmetatable = setmetatable
local min, sub = math.min, string.sub

local MAX_DATAGRAM = 65536
local FLAGS = cdefs.SOCK_DGRAM + cdefs.SOCK_NONBLOCK + cdefs.SOCK_CLOEXEC
local UNIX_FAMILY_SIZE = 2 -- of a sockaddr without a path: the system picks the name

local buffer = ffi.new("uint8_t[?]", MAX_DATAGRAM)
local unnamed = ffi.new("union pygw_sockaddr")
unnamed.family = cdefs.AF_UNIX

local _M = {}

local Socket = {}
Socket.__index = Socket
debug.getregistry().__udp_cosocket_mt = Socket -- where ngx_lua keeps it

-- A new UDP (or datagram unix) socket.
function _M.udp(...)
    local n = select("#", ...)
    if n ~= 0 then
        error("expecting zero arguments, but got " .. n, 2)
    end
    check_wait(2)
    return setmetatable({}, Socket)
end

-- sock:settimeout(milliseconds), for receiving; 0 or less: the setting's.
function Socket.settimeout(self, ...)
    local n = select("#", ...) + 1
    if n ~= 2 then
        error("ngx.socket settimeout: expecting at least 2 arguments (including the object) but seen " .. n, 2)
    end
    local milliseconds = tonumber((...)) or 0
    self.read_timeout = milliseconds >= 1 and milliseconds / 1000 or nil
end

-- sock:bind(address): datagrams are to come from that IP address. Returns true, or nil and an error text.
function Socket.bind(self, ...)
    local n = select("#", ...) + 1
    if n ~= 2 then
        error("expecting 2 arguments, but got " .. n, 2)
    end
    argcheck.check_table(1, 1, self, n)
    local host = argcheck.check_string(1, 2, (...), n)
    if sub(host, 1, 5) == "unix:" or sub(host, 1, 1) == "[" or not address.parse(host, 0) then
        return nil, "bad address"
    end
    self.local_address = host
    log.debug("lua udp socket bind ip: ", host)
    return true
end

-- Give fd its local end. Returns true, or nil and an error text.
local function bind(self, fd, family)
    local ok
    if family == cdefs.AF_UNIX then
        ok = C.bind(fd, unnamed, UNIX_FAMILY_SIZE) == 0
    elseif self.local_address then
        local sockaddr, size = address.parse(self.local_address, 0)
        ok = C.bind(fd, sockaddr, size) == 0
    else
        return true
    end
    if ok then
        return true
    end
    local err = errno.text(ffi.errno())
    log.crit("bind(", self.local_address or "unix:", ") failed (", errno.describe(err), ")", state.upstream(self))
    return nil, err
end

-- A descriptor whose peer is sockaddr, or nil and an error text.
local function open(self, sockaddr, size, family)
    local fd = C.socket(family, FLAGS, 0)
    if fd < 0 then
        return nil, errno.text(ffi.errno())
    end
    local ok, err = bind(self, fd, family)
    if ok and C.connect(fd, sockaddr, size) ~= 0 then
        err = errno.text(ffi.errno())
        log.crit("connect() failed (", errno.describe(err), ")", state.upstream(self))
        ok = false
    end
    if not ok then
        C.close(fd)
        return nil, err
    end
    return fd
end

local function finalize(self)
    local stream = self.stream
    self.stream = nil
    closing.unregister(self)
    log.debug("lua finalize socket")
    log.debug("lua close socket connection")
    stream:close()
end

-- Free the socket of the peer it has. Returns true, or nil and why it cannot be.
local function make_ready(self)
    if not self.used then
        self.used = true
        return true
    elseif self.request ~= current.request then
        error("bad request", 3)
    elseif self.claim or self.stream and self.stream.reader then
        return nil, "socket busy"
    elseif self.stream then
        log.debug("lua udp socket reconnect without shutting down")
        finalize(self)
    end
    log.debug("lua reuse socket upstream ctx")
    return true
end

-- sock:setpeername(host, port) or sock:setpeername("unix:/path"). Returns 1, or nil and an error text.
function Socket.setpeername(self, ...)
    local n = select("#", ...) + 1
    if n ~= 2 and n ~= 3 then
        error("ngx.socket.udp setpeername: expecting 2 or 3 arguments (including the object), but seen " .. n, 2)
    end
    argcheck.check_table(1, 1, self, n)
    local host, port = ...
    host = argcheck.check_string(1, 2, host, n)
    port = n == 3 and argcheck.check_integer(1, 3, port, n) or 0
    if port < 0 or port > 65535 then
        return nil, "bad port number: " .. port
    end
    local ready, why = make_ready(self)
    if not ready then
        return nil, why
    end
    closing.register(self)
    self.peer, self.address, self.claim = port > 0 and host .. ":" .. port or host, nil, true
    local ip, target = resolving.resolve(host, port, state.settings())
    self.claim = nil
    local fd, err = nil, target
    if ip then
        self.address = ip
        fd, err = open(self, address.parse(ip, target))
    end
    if not fd then
        closing.unregister(self)
        return nil, err
    end
    self.stream = streams.new(fd)
    return 1
end

-- The socket's stream when it may be used now; else nil and an error text. verb: "send" or "receive".
local function usable(self, verb)
    local stream = self.stream
    if not stream then
        if state.settings().socket_log_errors then
            local u = self.used and tostring(self) or "nil"
            log.err("attempt to ", verb, " data on a closed socket: u:", u, ", c:nil")
        end
        return nil, "closed"
    elseif self.request ~= current.request then
        error("bad request", 3)
    elseif stream.reader then
        return nil, "socket busy"
    end
    return stream
end

-- sock:send(data), one datagram; data as of a TCP socket's send. Returns 1, or nil and an error text.
function Socket.send(self, ...)
    local n = select("#", ...) + 1
    if n ~= 2 then
        error("expecting 2 arguments (including the object), but got " .. n, 2)
    end
    argcheck.check_table(1, 1, self, n)
    local stream, why = usable(self, "send")
    if not stream then
        return nil, why
    end
    local data = writing.bytes_of((...))
    local sent = C.pygw_send(stream.fd, cast("const uint8_t *", data), #data, cdefs.MSG_NOSIGNAL)
    log.debug("send: fd:", stream.fd, " ", sent, " of ", #data)
    if sent < 0 then
        local err = errno.text(ffi.errno())
        log.err("send() failed (", errno.describe(err), ")", state.upstream(self))
        return nil, err
    end
    return 1
end

-- Take a datagram, waiting for it. Returns its bytes, at most size of them, or nil and an error text.
local function take(self, stream, size)
    while true do
        local received = C.pygw_recv(stream.fd, buffer, size, 0)
        if received >= 0 then
            return ffi_string(buffer, received)
        end
        local code = ffi.errno()
        if code == cdefs.EAGAIN then
            stream.readable = false
            local running = current.task
            running.socket = self -- so that it ends with a thread that is killed here
            local ok, err = stream:wait_readable(self.read_timeout or state.settings().socket_read_timeout)
            running.socket = nil
            if not ok then
                return nil, err
            end
        elseif code ~= cdefs.EINTR then
            return nil, errno.text(code)
        end
    end
end

-- sock:receive(size?): one datagram, at most size bytes of it. Returns it, or nil and an error text.
function Socket.receive(self, ...)
    local n = select("#", ...) + 1
    if n > 2 then
        error("expecting 1 or 2 arguments (including the object), but got " .. n, 2)
    end
    argcheck.check_table(1, 1, self, n)
    local stream, why = usable(self, "receive")
    if not stream then
        return nil, why
    end
    local size = ...
    size = type(size) == "nil" and MAX_DATAGRAM or argcheck.check_integer(1, 2, size, n)
    size = size < 0 and MAX_DATAGRAM or min(size, MAX_DATAGRAM)
    log.debug("lua udp socket receive buffer size: ", size)
    local data, err = take(self, stream, size)
    if data then
        return data
    elseif err == "timeout" then
        state.log_error(self, "lua udp socket read timed out")
    elseif err ~= "closed" then
        log.err("recv() failed (", errno.describe(err), ")", state.upstream(self))
    end
    return nil, err
end

-- Returns 1, or nil and "closed" or "socket busy".
function Socket.close(self, ...)
    local n = select("#", ...) + 1
    if n ~= 1 then
        error("expecting 1 argument (including the object) but seen " .. n, 2)
    end
    argcheck.check_table(1, 1, self, n)
    if not self.stream then
        return nil, "closed"
    elseif self.request ~= current.request then
        error("bad request", 2)
    elseif self.stream.reader then
        return nil, "socket busy"
    end
    finalize(self)
    return 1
end

-- What the end of a request does with the socket.
closing.at_end(Socket, function(self)
    if self.stream then
        finalize(self)
    end
    self.claim = nil
end)

return _M
