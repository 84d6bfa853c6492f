-- Owns client connections: accepting them, serving their requests one after the other, and the life of
-- each. One task at a time per connection; ngx.exit and errors end it, and another goes on.
local buffer = require "string.buffer"
local address = require "server.address"
local bridge = require "server.bridge"
local cdefs = require "server.cdefs"
local clock = require "server.clock"
local failures = require "server.http.failures"
local ffi = require "ffi"
local handler = require "server.http.handler"
local inputs = require "server.http.input"
local log = require "server.log"
local reading = require "server.http.reading"
local request_body = require "server.http.request_body"
local requests = require "server.http.request"
local serial = require "server.serial"
local streams = require "server.stream"
local task = require "server.task"
local tls_admission = require "server.http.tls_admission"

local C = ffi.C
local linger, read_request, open_body = reading.linger, reading.read, reading.open_body

local PIPELINED_MAX = 16 -- requests of one connection before others get their turn
local no_linger = ffi.new("int[2]", 1, 0) -- struct linger: on, for 0 seconds

local _M = {}

local open = {} -- every open client connection
local open_count = 0
local totals = { accepted = 0, requests = 0 }
local draining = false
local on_empty -- told when the last connection is closed while draining

local function close(conn)
    if open[conn] then
        open[conn] = nil
        open_count = open_count - 1
        if open_count == 0 and draining then
            task.later(on_empty)
        end
    end
    request_body.release(conn.request)
    conn.input:clear()
    conn.stream:close()
end

-- End a connection so that its peer cannot take what came for all: where the end of the connection is
-- the end of the body, only a reset tells the difference.
local function reset_peer(conn)
    conn.stream.broken = true -- over TLS, no farewell either
    C.setsockopt(conn.stream.fd, cdefs.SOL_SOCKET, cdefs.SO_LINGER, no_linger, 8)
end

-- What remains when the answer is out: returns true when the connection can serve another request.
local function after_request(conn, r)
    if r.truncated or r.aborted then
        if r.truncated and r.framing == "close" then
            reset_peer(conn)
        end
        return false
    end
    if not r.keepalive or draining or not request_body.discard(r) then
        if r.raw or r.body and not r.body.done then
            linger(conn)
        end
        return false
    end
    return conn.requests < r.settings.keepalive_requests
end

local function serve(conn)
    repeat
        local r = read_request(conn)
        if not r then
            break
        end
        conn.requests = conn.requests + 1
        totals.requests = totals.requests + 1
        if draining or conn.requests >= r.settings.keepalive_requests then
            r.keepalive = false
        end
        if conn.refusal and tls_admission.refuses(conn, r) then
            break
        end
        open_body(conn, r)
        handler.run(r)
        if conn.input.buffer and conn.requests % PIPELINED_MAX == 0 then
            task.pause()
        end
    until not after_request(conn, r)
    close(conn)
end

-- Serve a connection that begins with a TLS handshake.
local function serve_tls(conn)
    if require("server.tls.acceptor").accept(conn) then
        return serve(conn)
    end
    close(conn)
end

-- Go on after `action` ended r's coroutine before its time (ngx.exit, an error): finish r, then serve on.
local function go_on(conn, action, argument)
    local r = conn.request
    action(r, argument)
    if after_request(conn, r) then
        return serve(conn)
    end
    close(conn)
end

local function on_done(main, ok, err)
    if ok then
        return
    end
    local r = main.conn.request
    if failures.note(r, main, err) then
        return r:restart(handler.fail)
    end
    return close(main.conn) -- failing for ever, or outside of any request
end

-- Give r's connection a new task that begins with action(r, argument). The old one never runs again,
-- whoever may still hold it.
local function restart(r, action, argument)
    local conn = r.conn
    local main = task.new(function()
        return go_on(conn, action, argument)
    end, r, on_done)
    conn.task.dead = true
    main.conn, conn.task, r.task = conn, main, main
    return task.resume(main)
end

-- Serve a connected descriptor whose other end is at host and port; to: its own address, in place of the kernel's.
local function adopt(listener, fd, host, port, to, to_port)
    local stream = streams.new(fd)
    local conn = {
        serial = serial(), stream = stream, input = inputs.new(stream), requests = 0, waiting = true,
        remote_addr = host, remote_port = port, local_addr = to, local_port = to_port, accepted = clock.now(),
        out = buffer.new(), head = buffer.new(), refusal = false,
        site = listener.site, listener = listener,
    }
    local main = task.new(function()
        return listener.serve(conn)
    end, nil, on_done)
    main.conn = conn
    conn.task = main
    conn.request = requests.new(conn)
    conn.request.restart = restart
    open[conn] = true
    open_count = open_count + 1
    totals.accepted = totals.accepted + 1
    task.resume(main)
end

local Listener = {}
Listener.__index = Listener

local sockaddr = ffi.new("union pygw_sockaddr")
local sockaddr_size = ffi.new("unsigned int[1]")
local ACCEPT_FLAGS = cdefs.SOCK_NONBLOCK + cdefs.SOCK_CLOEXEC
local ACCEPTS_A_ROUND = 64

-- Take one round of waiting connections. Returns whether more may wait.
local function accept_round(self)
    for _ = 1, ACCEPTS_A_ROUND do
        if self.closed then
            return false
        end
        sockaddr_size[0] = ffi.sizeof(sockaddr)
        local fd = C.accept4(self.fd, sockaddr, sockaddr_size, ACCEPT_FLAGS)
        if fd >= 0 then
            adopt(self, fd, address.format(sockaddr))
        else
            local errno = ffi.errno()
            if errno == cdefs.EAGAIN then
                return false
            elseif errno == cdefs.EMFILE or errno == cdefs.ENFILE then
                log.alert("accept4() failed (", streams.error_text(errno), "): connections wait")
                bridge.call_at(clock.monotonic() + 0.5, self)
                return false
            elseif errno ~= cdefs.EINTR and errno ~= 103 then -- 103: ECONNABORTED, the next may be fine
                log.alert("accept4() failed (", streams.error_text(errno), ")")
                return false
            end
        end
    end
    return true
end

local function accept_some(self)
    if accept_round(self) then
        task.later(accept_some, self) -- others get their turn in between
    end
end

Listener.on_event = accept_some
Listener.on_timer = accept_some

local listeners = {}

-- Accept connections on a listener: {fd (listening, non-blocking; -1: connections are only handed over), tls}. site:
-- what answers there, of server.http.servers.
function _M.listen(config, site)
    local fd = config.fd
    local listener = setmetatable({
        fd = fd, serve = config.tls and serve_tls or serve, site = site, closed = false,
    }, Listener)
    if config.tls then
        require("server.tls.sites").prepare(site)
    end
    listeners[#listeners + 1] = listener
    if fd >= 0 then
        local one = ffi.new("int[1]", 1)
        C.setsockopt(fd, cdefs.IPPROTO_TCP, cdefs.TCP_NODELAY, one, 4) -- inherited by what it accepts
        streams.by_fd[fd] = listener
        bridge.call.add_io(fd)
    end
end

-- Serve a connected, non-blocking descriptor as if the listener of that number had accepted it: from is the client's
-- address and port, to the one that it connected to. For those who have no port, as tests.
function _M.hand_over(number, fd, from, from_port, to, to_port)
    return adopt(listeners[number], fd, from, from_port, to, to_port)
end

local DRAIN_GRACE = 0.05 -- seconds for a request that is on its way to an idle connection to arrive
local idle_closer = {}

function idle_closer.on_timer()
    for conn in pairs(open) do
        if conn.waiting then
            conn.stream:close() -- wakes its task, which ends
        end
    end
end

-- Stop accepting (what the kernel accepted for us already is served), close idle connections, let the
-- others finish their request. callback() is called when the last one is closed.
function _M.drain(callback)
    draining, on_empty = true, callback
    for _, listener in ipairs(listeners) do
        if listener.fd >= 0 then
            while accept_round(listener) do end
            listener.closed = true
            streams.by_fd[listener.fd] = nil
            bridge.call.remove_io(listener.fd) -- the master keeps it open: closing ours would not end its events
            C.close(listener.fd)
        end
    end
    listeners = {}
    if open_count == 0 then
        return task.later(on_empty)
    end
    bridge.call_at(clock.monotonic() + DRAIN_GRACE, idle_closer)
end

-- The streams of open connections, as a set.
function _M.streams()
    local found = {}
    for conn in pairs(open) do
        found[conn.stream] = true
    end
    return found
end

-- {accepted (connections), requests}, of this worker since its start. Not to be written to.
function _M.totals()
    return totals
end

-- How many client connections are open, and how many of those wait for a request.
function _M.count()
    local waiting = 0
    for conn in pairs(open) do
        waiting = waiting + (conn.waiting and 1 or 0)
    end
    return open_count, waiting
end

return _M
