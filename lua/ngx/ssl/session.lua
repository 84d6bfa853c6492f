-- Owns the module ngx.ssl.session: sessions in the phases ssl_session_fetch and ssl_session_store.
-- Source: lua-resty-core, ngx.ssl.session.
local ffi = require "ffi"
local certificate = require "server.tls.certificate"
local current = require "server.current"
local failure = require "server.tls.failure"
local peer = require "server.tls.peer"
local ssl = require "server.tls.library"

local error = error

local SESSION_MAX = 4096 -- bytes

local _M = { version = "0.1.32" }

local function handshake_of()
    local r = current.request
    if not r then
        error("no request found", 3)
    elseif not r.stream or not r.stream.ssl then
        return nil, "bad request"
    elseif not r.handshake then
        return nil, "bad lua context"
    end
    return r.handshake
end

-- The session that was made, as bytes; or nil and an error text.
function _M.get_serialized_session()
    local handshake, err = handshake_of()
    if not handshake then
        return nil, err
    elseif not handshake.new_session then
        return nil, "bad session in lua context"
    end
    local bytes = certificate.encode(ssl.i2d_SSL_SESSION, handshake.new_session)
    if not bytes then
        failure.clear()
        return nil, "i2d_SSL_SESSION() failed"
    elseif #bytes > SESSION_MAX then
        return nil, "session too big to serialize"
    end
    return bytes
end

-- The session's id in hexadecimal digits: of the one that the client asks for, or of the one that was made.
-- Or nil and an error text.
function _M.get_session_id()
    local handshake, err = handshake_of()
    if not handshake then
        return nil, err
    elseif not handshake.session_id then
        return nil, "uninitialized session id len in lua context"
    end
    return peer.hex(handshake.session_id)
end

-- Resume that session (bytes of get_serialized_session). Returns true, or nil and an error text.
function _M.set_serialized_session(bytes)
    local handshake, err = handshake_of()
    if not handshake then
        return nil, err
    elseif #bytes == 0 or #bytes > SESSION_MAX then
        return nil, "invalid session length"
    end
    local start = ffi.new("const unsigned char *[1]", ffi.cast("const unsigned char *", bytes))
    local session = ssl.d2i_SSL_SESSION(nil, start, #bytes)
    if session == nil then
        failure.clear()
        return nil, "failed to de-serialize session"
    end
    handshake.session = ffi.gc(session, ssl.SSL_SESSION_free)
    return true
end

return _M
