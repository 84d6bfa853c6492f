-- Owns the making of outgoing connections: socket, connect without blocking, wait for the outcome.
local ffi = require "ffi"
local address = require "server.address"
local cdefs = require "server.cdefs"
local stream = require "server.stream"

local C = ffi.C
local one = ffi.new("int[1]", 1)
local outcome = ffi.new("int[1]")
local outcome_size = ffi.new("unsigned int[1]")
local SOCKET_FLAGS = cdefs.SOCK_STREAM + cdefs.SOCK_NONBLOCK + cdefs.SOCK_CLOEXEC

-- Connect to host (an address in text, or "unix:/path") and port, waiting up to `seconds`.
-- Returns a stream, or nil and "timeout", "invalid address" or the system's error text.
return function(host, port, seconds)
    local sockaddr, size, family = address.parse(host, port)
    if not sockaddr then
        return nil, "invalid address"
    end
    local fd = C.socket(family, SOCKET_FLAGS, 0)
    if fd < 0 then
        return nil, stream.error_text(ffi.errno())
    end
    if family ~= cdefs.AF_UNIX then
        C.setsockopt(fd, cdefs.IPPROTO_TCP, cdefs.TCP_NODELAY, one, 4)
    end
    if C.connect(fd, sockaddr, size) ~= 0 then
        local errno = ffi.errno()
        if errno ~= cdefs.EINPROGRESS then
            C.close(fd)
            return nil, stream.error_text(errno)
        end
    end
    -- Registered only now: a socket that has not begun to connect polls as hung up.
    local connection = stream.new(fd)
    connection.connecting = true
    local ok, err = connection:wait_writable(seconds)
    connection.connecting = false
    if not ok then
        connection:close()
        return nil, err
    end
    outcome_size[0] = 4
    C.getsockopt(fd, cdefs.SOL_SOCKET, cdefs.SO_ERROR, outcome, outcome_size)
    if outcome[0] ~= 0 then
        connection:close()
        return nil, stream.error_text(outcome[0])
    end
    return connection
end
