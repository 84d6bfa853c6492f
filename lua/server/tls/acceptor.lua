-- Owns the server's side of TLS on a client connection: the handshake, the application's phases in it
-- (ssl_client_hello, ssl_session_fetch, ssl_certificate, ssl_session_store), the choice of the server by name.
-- Each phase runs in a task of its own, for which the handshake waits; none is bound to be quick.
-- Source: the ngx_lua documentation; nginx, ngx_http_ssl_module.
local ffi = require "ffi"
local cdefs = require "server.cdefs"
local clock = require "server.clock"
local contexts = require "server.contexts"
local current = require "server.current"
local handshake = require "server.tls.handshake"
local log = require "server.log"
local run_phase = require "server.tls.phase"
local settings = require "server.settings"
local sites = require "server.tls.sites"
local ssl = require "server.tls.library"
local sysinfo = require "server.sysinfo"
local tls_contexts = require "server.tls.context"
local tls_streams = require "server.tls.stream"

local C = ffi.C
local ffi_string, gc = ffi.string, ffi.gc
local monotonic = clock.monotonic
local setmetatable = setmetatable
local byte, sub = string.byte, string.sub

local WANT_CLIENT_HELLO = 11 -- SSL_ERROR_WANT_CLIENT_HELLO_CB
local EXTENSION_NAME, EXTENSION_TICKET, TLS1_3 = 0, 35, 0x304

-- The phases as ngx.get_phase calls them.
local PHASE_NAMES = {
    ssl_client_hello = "ssl_client_hello", ssl_session_fetch = "ssl_session_fetch", ssl_certificate = "ssl_cert",
    ssl_session_store = "ssl_session_store",
}

local Acceptor = {}
Acceptor.__index = Acceptor

local _M = {}

local function describe(r)
    local phase = r.phase
    local host, port = sysinfo.local_address(r)
    return (phase == "" and " while SSL handshaking" or ", context: " .. contexts.name(phase))
        .. ", client: " .. r.remote_addr .. ", server: " .. host .. (port ~= 0 and ":" .. port or "")
end

-- What stands for a request in the phases of a handshake.
local function pseudo_request(conn)
    return {
        conn = conn, stream = conn.stream, connection = conn.serial, remote_addr = conn.remote_addr,
        remote_port = conn.remote_port, phase = "", stage = "ssl", describe = describe,
    }
end

-- Run the server's handler of a phase, if there is one. Returns as server.tls.phase does.
function Acceptor:run(name, deadline)
    local outer = self.server.outer
    local handler = outer[name]
    if not handler then
        return true
    end
    self.r.settings = outer.settings
    return run_phase(handler, self.r, PHASE_NAMES[name], deadline)
end

local pointer, size = ffi.new("const unsigned char *[1]"), ffi.new("size_t[1]")

local function extension(connection, number)
    if ssl.SSL_client_hello_get0_ext(connection, number, pointer, size) == 0 then
        return nil
    end
    return ffi_string(pointer[0], size[0])
end

local function number_at(bytes, at)
    local high, low = byte(bytes, at, at + 1)
    return low and high * 256 + low or 0
end

-- The name in a server_name extension (RFC 6066, section 3), or nil.
local function name_asked_for(connection)
    local bytes = extension(connection, EXTENSION_NAME)
    if not bytes or byte(bytes, 3) ~= 0 then
        return nil
    end
    return sub(bytes, 6, 5 + number_at(bytes, 4))
end

-- The id of the session that the client would resume, or nil. Beside a ticket it means nothing (RFC 5077, section
-- 3.4).
local function session_asked_for(connection, conf)
    local ticket = conf.ssl_session_tickets and extension(connection, EXTENSION_TICKET)
    if ticket and ticket ~= "" then
        return nil
    end
    local length = tonumber(ssl.SSL_client_hello_get0_session_id(connection, pointer))
    return length > 0 and ffi_string(pointer[0], length) or nil
end

local function choose_server(self, connection)
    if self.site.by_name then
        local server = sites.find(self.site, name_asked_for(connection))
        if server ~= self.server then
            self.server = server
            tls_contexts.switch(connection, sites.context(server))
        end
    end
    local outer = self.server.outer
    self.certificate = not outer.ssl_certificate and 1 or nil
    self.sessions = outer.ssl_session_store and {} or nil
    self.cache = self.server.tls_sessions
    if self.certificate and not outer.settings.ssl_certificate then
        log.alert("no ssl_certificate_by_lua* defined in server ", self.server.names[1] or "")
    end
    return outer
end

-- Returns true when it is known what comes of the client's hello, or nil and "timeout".
local function on_hello(self, deadline)
    local connection = self.stream.ssl
    local outer = choose_server(self, connection)
    self.hello = 0
    if outer.settings.ssl_reject_handshake then
        return true
    end
    local ok, err = self:run("ssl_client_hello", deadline)
    if not ok then
        return not err or nil, err
    end
    self.hello = 1
    self.session_id = outer.ssl_session_fetch and session_asked_for(connection, outer.settings)
    if self.session_id then
        err = select(2, self:run("ssl_session_fetch", deadline)) -- without a session all goes on
    end
    return not err or nil, err
end

-- See server.tls.handshake.
function Acceptor:decide(code, deadline)
    if code == WANT_CLIENT_HELLO then
        return on_hello(self, deadline)
    end
    local ok, err = self:run("ssl_certificate", deadline)
    self.certificate = ok and 1 or 0
    return not err or nil, err
end

local length = ffi.new("unsigned int[1]")

local function session_id(session)
    return ffi_string(ssl.SSL_SESSION_get_id(session, length), length[0])
end

local function store_sessions(self, deadline)
    if not self.sessions or ssl.SSL_version(self.stream.ssl) >= TLS1_3 then
        return
    end
    for _, session in ipairs(self.sessions) do
        self.new_session, self.session_id = session, session_id(session)
        self:run("ssl_session_store", deadline)
    end
end

local first = ffi.new("uint8_t[1]")

-- Does the client begin with a TLS record (or SSLv2's hello)? nil: it said nothing in time.
local function begins_with_tls(stream)
    if not stream:wait_readable(settings.client_header_timeout) then
        return nil
    end
    local n = C.pygw_recv(stream.fd, first, 1, cdefs.MSG_PEEK)
    if n <= 0 then
        return nil
    end
    return first[0] == 0x16 or first[0] >= 0x80
end

local function shake_hands(conn)
    local stream, server = conn.stream, conn.site.default
    local connection = gc(ssl.SSL_new(sites.context(server)), ssl.SSL_free)
    ssl.SSL_set_fd(connection, stream.fd)
    ssl.SSL_set_accept_state(connection)
    tls_streams.wrap(stream, connection)
    local self = setmetatable({
        stream = stream, site = conn.site, server = server, r = pseudo_request(conn), hello = nil, certificate = nil,
    }, Acceptor)
    self.r.handshake = self
    conn.task.request, current.request = self.r, self.r
    conn.waiting = false
    local seconds = settings.client_header_timeout
    local ok, err, detail = handshake.run(stream, seconds, self)
    if ok then
        store_sessions(self, monotonic() + seconds)
        conn.waiting = true
        return true
    end
    log.info(detail or "client timed out (110: Connection timed out)")
    return ok, err
end

-- Make a fresh client connection one over TLS. conn.refusal says what of its requests is to be looked at (see
-- server.http.tls_admission). Returns whether requests are to be read: of a client that does not speak TLS one is,
-- to be refused.
function _M.accept(conn)
    local speaks = begins_with_tls(conn.stream)
    if speaks == nil then
        return false
    elseif not speaks then
        conn.refusal = "plain"
        return true
    end
    conn.refusal = "certificate"
    return shake_hands(conn) and not conn.stream.closed
end

return _M
