-- Owns TLS on the way to an upstream: what a location's `proxy` table says of it (nginx's proxy_ssl_*
-- directives), the handshake, the check of the peer, the sessions that are used again.
-- Must never decide which peer is asked.
local ffi = require "ffi"
local callbacks = require "server.tls.callbacks"
local certificate = require "server.tls.certificate"
local clock = require "server.clock"
local contexts = require "server.tls.context"
local failure = require "server.tls.failure"
local handshake = require "server.tls.handshake"
local peer_of = require "server.tls.peer"
local run_phase = require "server.tls.phase"
local ssl = require "server.tls.library"
local template = require "server.http.template"
local tls_streams = require "server.tls.stream"

local cast, gc = ffi.cast, ffi.gc
local monotonic = clock.monotonic
local error, setmetatable, tostring = error, setmetatable, tostring
local gsub = string.gsub

local SET_HOSTNAME, SET_VERIFY_STORE = 55, 106 -- SSL_CTRL_…
local VERIFY_FAILED = "SSL_do_handshake() failed (SSL: error:0A000086:SSL routines::certificate verify failed)"
local ACTIONS = {
    proxy_ssl_cert = "loading proxy ssl certificate by lua", proxy_ssl_verify = "loading proxy ssl verify by lua",
}
local SESSIONS_MAX = 1000

local _M = {}

local sessions, session_count = {}, 0 -- by the key of the connections they are of

-- proxy: {ssl_name (with $variables), ssl_server_name (send it), ssl_verify, ssl_verify_depth,
-- ssl_trusted_certificate, ssl_crl, ssl_certificate, ssl_certificate_key, ssl_protocols, ssl_ciphers,
-- ssl_session_reuse, ssl_conf_command}. Raises what is wrong with it.
local function compile(proxy)
    if proxy.ssl_verify and not proxy.ssl_trusted_certificate then
        error("the application's proxy has ssl_verify, but no ssl_trusted_certificate", 0)
    end
    local ctx, err = contexts.get({
        role = "client", protocols = proxy.ssl_protocols or "TLSv1.2 TLSv1.3", ciphers = proxy.ssl_ciphers or "DEFAULT",
        trusted = proxy.ssl_trusted_certificate, crl = proxy.ssl_crl, depth = proxy.ssl_verify_depth or 1,
        certificates = proxy.ssl_certificate and { { proxy.ssl_certificate, proxy.ssl_certificate_key } },
        conf_commands = proxy.ssl_conf_command,
    })
    if not ctx then
        error(err, 0)
    end
    local sends_name, verify = proxy.ssl_server_name and true or false, proxy.ssl_verify and true or false
    return {
        ctx = ctx, name = template.compile(proxy.ssl_name or "$proxy_host"), sends_name = sends_name, verify = verify,
        reuse = proxy.ssl_session_reuse ~= false,
        key = tostring(ctx) .. tostring(sends_name) .. tostring(verify),
    }
end

local function program(r)
    local location = r.location
    local found = location.proxy_tls
    if not found then
        found = compile(location.proxy or {})
        location.proxy_tls = found
    end
    return found
end

-- What a connection for r needs to be secured: a Security, whose `key` tells connections apart that must not be
-- taken for each other. own: what the application has set for this request (see resty.apisix.upstream), or nil.
local Security = {}
Security.__index = Security

function _M.of(r, peer)
    peer.action = nil -- what the handshake was at when it failed
    local plan, own = program(r), r.upstream_tls
    local name = gsub(peer.server_name or plan.name(r) or "", ":%d*$", "") -- a port is no part of it
    local location = r.location
    return setmetatable({
        r = r, peer = peer, plan = plan, own = own, name = name,
        key = peer.key .. "\0" .. name .. "\0" .. plan.key .. (own and own.key or "")
            .. (location.proxy_ssl_certificate and tostring(location.proxy_ssl_certificate) or ""),
    }, Security)
end

-- What stands for r in the phases of the handshake: ngx.exit ends those alone.
local function stand_in(r)
    r.ctx = r.ctx or {}
    local own = { restart = false, sockets = false, threads = false, joining = false, phase = "" }
    return setmetatable(own, { __index = r })
end

-- Run a handler of the location in the handshake. Returns as server.tls.phase does.
local function run_handler(self, handler, name, deadline)
    self.action = ACTIONS[name]
    local ok, err = run_phase(handler, stand_in(self.r), name, deadline)
    if not err then
        self.action = nil
    end
    return ok, err
end

-- See server.tls.handshake.
function Security:decide(_, deadline)
    local ok, err = run_handler(self, self.r.location.proxy_ssl_certificate, "proxy_ssl_cert", deadline)
    self.certificate = ok and 1 or 0
    return not err or nil, err
end

local function is_address(name)
    return name:find("^[%d.]+$") or name:find(":", 1, true) or name == ""
end

-- Give the new connection what it is to show and to check. Returns nil, or why not.
local function prepare(self, connection)
    local plan, own = self.plan, self.own
    if plan.sends_name and not is_address(self.name)
        and ssl.SSL_ctrl(connection, SET_HOSTNAME, 0, cast("char *", self.name)) == 0 then
        return "SSL_set_tlsext_host_name(\"" .. self.name .. "\") failed"
    end
    if own and own.chain
        and (certificate.use_chain(connection, own.chain) or not certificate.use_key(connection, own.pkey)) then
        return "SSL_use_certificate() failed"
    end
    if own and own.store and ssl.SSL_ctrl(connection, SET_VERIFY_STORE, 1, own.store) == 0 then
        return "SSL_set1_verify_cert_store() failed"
    end
    if self.r.location.proxy_ssl_certificate then
        callbacks.ask_certificate(connection)
    end
    local session = plan.reuse and sessions[self.key]
    if session then
        ssl.SSL_set_session(connection, session)
    end
end

-- Returns nil, or what is wrong with the peer's certificate, in nginx's words.
local function check_peer(self, connection, deadline)
    local verify = self.plan.verify
    if self.own and self.own.verify ~= nil then
        verify = self.own.verify
    end
    local handler = self.r.location.proxy_ssl_verify
    if handler and ssl.SSL_session_reused(connection) == 0 then
        local ok, err = run_handler(self, handler, "proxy_ssl_verify", deadline)
        if not ok then
            return err or VERIFY_FAILED
        end
    end
    if not verify then
        return nil
    end
    local code, why = peer_of.fault(connection)
    if code then
        return "upstream SSL certificate verify error: (" .. code .. ":" .. why .. ")"
    elseif self.name ~= "" and not peer_of.is_named(connection, self.name) then
        return 'upstream SSL certificate does not match "' .. self.name .. '"'
    end
end

-- Returns nil when the stream is secured, else "timeout" or an error text.
local function shake_hands(self, stream, seconds)
    local handle = gc(ssl.SSL_new(self.plan.ctx), ssl.SSL_free)
    ssl.SSL_set_fd(handle, stream.fd)
    ssl.SSL_set_connect_state(handle)
    local fault = prepare(self, handle)
    failure.clear()
    if fault then
        return fault
    end
    tls_streams.wrap(stream, handle)
    local deadline = monotonic() + seconds
    local ok, err, detail = handshake.run(stream, seconds, self)
    if not ok then
        return err == "timeout" and err or detail
    end
    return check_peer(self, handle, deadline)
end

-- Secure a fresh connection (of server.http.upstreams); takes at most `seconds`. Meanwhile it is the request's, so
-- that it goes when that does. Returns it; or nil and "timeout" or an error text, and peer.action tells what failed.
function Security:start(connection, seconds)
    local r, peer = self.r, self.peer
    r.upstream_connection = connection
    local err = shake_hands(self, connection.stream, seconds)
    r.upstream_connection = nil
    self.r, self.own, self.peer = nil, nil, nil -- the connection outlives them
    if err then
        connection:close()
        sessions[self.key] = nil
        peer.action = self.action or "SSL handshaking to upstream"
        return nil, err
    end
    connection.secure = self
    return connection
end

-- Keep the session of a connection of this kind for the next one.
function Security:remember(stream)
    if not self.plan.reuse or stream.closed or not stream.handshaked then
        return
    end
    local session = ssl.SSL_get1_session(stream.ssl)
    if session == nil then
        return
    elseif ssl.SSL_SESSION_is_resumable(session) == 0 then
        return ssl.SSL_SESSION_free(session)
    end
    if session_count >= SESSIONS_MAX then
        sessions, session_count = {}, 0
    end
    if not sessions[self.key] then
        session_count = session_count + 1
    end
    sessions[self.key] = gc(session, ssl.SSL_SESSION_free)
end

return _M
