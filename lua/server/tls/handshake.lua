-- Owns the TLS handshake on a stream, for both roles: driving OpenSSL until it is done, waiting for the
-- peer in between. What OpenSSL asks meanwhile (callbacks) is server.tls.callbacks' to answer.
local ffi = require "ffi"
local clock = require "server.clock"
local failure = require "server.tls.failure"
local ssl = require "server.tls.library"
local streams = require "server.stream"

local ffi_errno = ffi.errno
local monotonic = clock.monotonic
local wait_readable, wait_writable = streams.Stream.wait_readable, streams.Stream.wait_writable

local WANT_READ, WANT_WRITE, SYSCALL = 2, 3, 5

local _M = {}

-- One step. Returns nil when the handshake is done, else SSL_get_error's code and errno.
local function step(connection)
    ssl.ERR_clear_error()
    local rc = ssl.SSL_do_handshake(connection)
    if rc == 1 then
        return nil
    end
    local errno = ffi_errno()
    return ssl.SSL_get_error(connection, rc), errno
end
jit.off(step) -- it is called back from C, which compiled code cannot be

local function explain(code, errno)
    if code == SYSCALL and ssl.ERR_peek_error() == 0 then
        if errno == 0 then
            return "peer closed connection in SSL handshake"
        end
        return "SSL_do_handshake() failed (" .. errno .. ": " .. streams.error_text(errno) .. ")"
    end
    local text = failure.describe()
    if text:find("unexpected eof", 1, true) then
        return "peer closed connection in SSL handshake"
    end
    return "SSL_do_handshake() failed " .. text
end

-- Shake hands on a stream of server.tls.stream; the whole takes at most `seconds`.
-- Returns true; or nil, "timeout", "closed" or "failed", and then what failed, for the log.
function _M.run(stream, seconds)
    local deadline = monotonic() + seconds
    while true do
        local code, errno = step(stream.ssl)
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
        else
            stream.broken = true
            return nil, "failed", explain(code, errno)
        end
        if not ok then
            return nil, err
        end
    end
end

return _M
