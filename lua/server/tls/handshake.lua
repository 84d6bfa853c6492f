-- Owns the TLS handshake on a stream, for both roles: driving OpenSSL until it is done, waiting for the
-- peer in between. What OpenSSL asks meanwhile is for the guide (see server.tls.callbacks) to answer.
local callbacks = require "server.tls.callbacks"
local clock = require "server.clock"
local failure = require "server.tls.failure"
local ssl = require "server.tls.library"
local streams = require "server.stream"
local errno_text = require "server.errno"

local find = string.find
local monotonic = clock.monotonic
local step = callbacks.step
local wait_readable, wait_writable = streams.Stream.wait_readable, streams.Stream.wait_writable

local WANT_READ, WANT_WRITE, SYSCALL = 2, 3, 5
local GONE = "peer closed connection in SSL handshake"

local NO_GUIDE = {}
local ASKS = { [4] = true, [11] = true } -- SSL_ERROR_WANT_X509_LOOKUP, SSL_ERROR_WANT_CLIENT_HELLO_CB

local _M = {}

local function explain(code, errno)
    if code == SYSCALL and ssl.ERR_peek_error() == 0 then
        return errno == 0 and GONE
            or "SSL_do_handshake() failed (" .. errno_text.describe(errno_text.text(errno)) .. ")"
    end
    local text = failure.describe()
    return find(text, "unexpected eof", 1, true) and GONE or "SSL_do_handshake() failed " .. text
end

-- Shake hands on a stream of server.tls.stream; the whole takes at most `seconds`. guide:decide(code,
-- deadline): called when OpenSSL waits for an answer that the guide owes (code: SSL_ERROR_WANT_…); it may wait;
-- returns true, or nil and "timeout".
-- Returns true; or nil, "timeout", "closed" or "failed", and what failed, for the log.
function _M.run(stream, seconds, guide)
    local deadline = monotonic() + seconds
    while true do
        local code, errno = step(stream.ssl, guide or NO_GUIDE)
        local ok, err
        if not code then
            stream.handshaked = true
            return true
        elseif code == WANT_READ then
            stream.readable = false
            ok, err = wait_readable(stream, deadline - monotonic())
        elseif code == WANT_WRITE then
            stream.writable = false
            ok, err = wait_writable(stream, deadline - monotonic())
        elseif guide and ASKS[code] then
            ok, err = guide:decide(code, deadline)
        else
            stream.broken = true
            return nil, "failed", explain(code, errno)
        end
        if not ok or stream.closed then
            return nil, err or "closed", err ~= "timeout" and GONE or nil
        end
    end
end

return _M
