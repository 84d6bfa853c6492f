-- Owns TLS on cosockets: the handshake, what it verifies, sessions, client certificates.
-- Source: the ngx_lua documentation, "tcpsock:sslhandshake" and its neighbours.
local ffi = require "ffi"
local closing = require "server.cosocket_closing"
local identity = require "server.identity"
local log = require "server.log"
local state = require "server.cosocket_state"
local types = require "server.tls.types"

local error, select, type = error, select, type
local cast, gc = ffi.cast, ffi.gc
local sub = string.sub

local SET_HOSTNAME, STATUS_TYPE, VERIFY_STORE = 55, 65, 106 -- SSL_CTRL_…
local OCSP = 1 -- TLSEXT_STATUSTYPE_ocsp

local _M = {}

-- libssl is loaded when TLS is first used.
local ssl, certificate, contexts, failure, handshake, peer, tls_streams

local function load()
    if not ssl then
        ssl = require "server.tls.library"
        certificate = require "server.tls.certificate"
        contexts = require "server.tls.context"
        failure = require "server.tls.failure"
        handshake = require "server.tls.handshake"
        peer = require "server.tls.peer"
        tls_streams = require "server.tls.stream"
    end
end

local function stream_of(self)
    local connection = self.connection
    return connection and connection.stream
end

-- The context of the settings that are in force.
local function context()
    local conf = state.settings()
    return contexts.get({
        role = "client", protocols = conf.lua_ssl_protocols, ciphers = conf.lua_ssl_ciphers,
        trusted = conf.lua_ssl_trusted_certificate, crl = conf.lua_ssl_crl, depth = conf.lua_ssl_verify_depth,
        certificates = conf.lua_ssl_certificate and { { conf.lua_ssl_certificate, conf.lua_ssl_certificate_key } },
        key_log = conf.lua_ssl_key_log and true, conf_commands = conf.lua_ssl_conf_command,
    })
end

local CHAIN_ERRORS = {
    empty = "invalid client certificate chain",
    leaf = "ssl set client certificate failed",
    rest = "ssl set client intermediate certificate failed",
}

-- Give the new connection what the handshake needs. Returns true, or nil and why not.
local function prepare(self, connection, session, name, status)
    if session and ssl.SSL_set_session(connection, session) == 0 then
        return nil, "ssl set session failed"
    end
    if self.client_cert then
        local failed = certificate.use_chain(connection, self.client_cert)
        if failed then
            return nil, CHAIN_ERRORS[failed]
        elseif not certificate.use_key(connection, self.client_key) then
            return nil, "ssl set client private key failed"
        end
    end
    if name and ssl.SSL_ctrl(connection, SET_HOSTNAME, 0, cast("char *", name)) == 0 then
        return nil, "SSL_set_tlsext_host_name failed"
    end
    if self.trusted_store then
        if ssl.SSL_ctrl(connection, VERIFY_STORE, 1, self.trusted_store) == 0 then
            return nil, "SSL_set1_verify_cert_store() failed"
        end
        self.trusted_store = nil
    end
    if status then
        ssl.SSL_ctrl(connection, STATUS_TYPE, OCSP, nil)
    end
    return true
end

-- Returns true, or nil and why the peer's certificate is not taken.
local function verify(self, connection, name)
    local code, why = peer.fault(connection)
    if code then
        state.log_error(self, "lua ssl certificate verify error: (" .. code .. ": " .. why .. ")")
        return nil, code .. ": " .. why
    end
    if name and name ~= "" and not peer.is_named(connection, name) then
        state.log_error(self, 'lua ssl certificate does not match host "' .. name .. '"')
        return nil, "certificate host mismatch"
    end
    return true
end

local function hex(pointer)
    return ("%X"):format(tonumber(cast("uintptr_t", pointer)))
end

local function free_session(session)
    log.debug("lua ssl free session: ", hex(session))
    ssl.SSL_SESSION_free(session)
end

local function session_of(stream)
    local session = ssl.SSL_get1_session(stream.ssl)
    if session == nil then
        return nil
    end
    log.debug("lua ssl save session: ", hex(session))
    return gc(session, free_session)
end

local key_logs = {} -- open files, by path

-- A guide (see server.tls.callbacks) that appends the connection's secrets to a file.
local function key_logger(path)
    local file = key_logs[path]
    if not file then
        local err
        file, err = io.open(sub(path, 1, 1) == "/" and path or identity.prefix .. "conf/" .. path, "a")
        if not file then
            log.err("cannot open the key log: ", err)
            return nil
        end
        file:setvbuf("no")
        key_logs[path] = file
    end
    return { key_log = function(line) file:write(line, "\n") end }
end

local function fail(self, err)
    failure.clear()
    closing.finalize(self)
    return nil, err
end

-- Begin TLS on the stream. Returns true, or nil and why not.
local function start(self, stream, session, name, check, status)
    local ctx, err = context()
    if not ctx then
        log.err(err)
        return fail(self, "failed to create ssl connection")
    end
    local connection = gc(ssl.SSL_new(ctx), ssl.SSL_free)
    ssl.SSL_set_fd(connection, stream.fd)
    ssl.SSL_set_connect_state(connection)
    local ok
    ok, err = prepare(self, connection, session, name, status)
    if not ok then
        return fail(self, err)
    end
    tls_streams.wrap(stream, connection)
    local conf = state.settings()
    local detail
    ok, err, detail = handshake.run(stream, self.connect_timeout or conf.socket_connect_timeout,
        conf.lua_ssl_key_log and key_logger(conf.lua_ssl_key_log) or nil)
    if not ok then
        if detail then
            log.err(detail)
        end
        return fail(self, err == "failed" and "handshake failed" or err)
    end
    if check then
        ok, err = verify(self, connection, name)
        if not ok then
            return fail(self, err)
        end
    end
    return true
end

-- Shake hands. session: of an earlier connection to the same peer, false: none is wanted back, or nil; name:
-- for SNI and verification; check: verify the peer's certificate; status: ask for an OCSP response.
-- Returns the session (true when session is false), or nil and an error text.
function _M.sslhandshake(self, session, name, check, status, ...)
    local n = select("#", ...)
    if not self or n > 0 then
        error("ngx.socket sslhandshake: expecting 1 ~ 5 arguments (including the object), but seen "
            .. (self and 5 + n or 0), 2)
    end
    local stream = stream_of(self)
    local why = not stream and (self.claim and "socket busy connecting" or "closed") or state.busy(self, true, true)
    if why then
        return nil, why
    end
    state.check_request(self)
    load()
    local given = types.fits("session", session) and session or nil
    if stream.ssl then
        if given then
            return session
        end
    else
        if name then
            log.debug('lua ssl server name: "', name, '"')
        end
        if given then
            log.debug("lua ssl set session: ", hex(given))
        end
        local ok, err = start(self, stream, given, name, check, status)
        if not ok then
            return nil, err
        end
    end
    if session == false then
        return true
    end
    return session_of(stream)
end

-- Take a chain and its key (of ngx.ssl) for the next handshake; none to forget them.
-- Returns true, or nil and an error text.
function _M.setclientcert(self, cert, key)
    if not cert and not key then
        self.client_cert, self.client_key = nil, nil
        return true
    elseif not cert or not key then
        return nil, "client certificate must be supplied with corresponding private key"
    elseif not types.fits("chain", cert) then
        return nil, "bad cert arg: cdata expected, got " .. type(cert)
    elseif not types.fits("key", key) then
        return nil, "bad pkey arg: cdata expected, got " .. type(key)
    end
    self.client_cert, self.client_key = cert, key
    return true
end

-- Verify the peer in the next handshake by this X509_STORE * alone; nil: by the settings again.
-- Returns true, or nil and an error text.
function _M.settrustedstore(self, store)
    if store ~= nil and not types.fits("store", store) then
        return nil, "bad store arg: cdata expected, got " .. type(store)
    end
    local stream = stream_of(self)
    if not stream then
        return nil, "closed"
    elseif stream.ssl then
        return nil, "ssl handshake already done; trusted store cannot be changed on an established TLS connection"
    end
    self.trusted_store = store
    return true
end

local function connection_of(self)
    local stream = stream_of(self)
    if not stream then
        return nil, "closed"
    elseif not stream.ssl then
        return nil, "no ssl connection"
    end
    return stream.ssl
end

-- The SSL * of the connection, or nil and an error text.
function _M.getsslpointer(self)
    local connection, err = connection_of(self)
    return connection and types.mark("connection", connection), err
end

-- Its SSL_CTX *, or nil and an error text.
function _M.getsslctx(self)
    local connection, err = connection_of(self)
    if not connection then
        return nil, err == "closed" and err or "no ssl context"
    end
    return types.mark("context", ssl.SSL_get_SSL_CTX(connection))
end

-- The session as it is now: in TLS 1.3 its ticket comes after the handshake. Or nil and an error text.
function _M.getsslsession(self)
    local connection, err = connection_of(self)
    if not connection then
        return nil, err
    end
    local session = ssl.SSL_get1_session(connection)
    if session == nil then
        return nil, "no session"
    elseif ssl.SSL_SESSION_is_resumable(session) == 0 then
        ssl.SSL_SESSION_free(session)
        return nil, "not resumable"
    end
    return gc(session, free_session)
end

return _M
