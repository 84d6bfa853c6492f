-- Owns the making of outgoing connections: socket, bind, connect without blocking, wait for the outcome.
local ffi = require "ffi"
local address = require "server.address"
local cdefs = require "server.cdefs"
local errno = require "server.errno"
local log = require "server.log"
local stream = require "server.stream"

local C = ffi.C
local one = ffi.new("int[1]", 1)
local outcome = ffi.new("int[1]")
local outcome_size = ffi.new("unsigned int[1]")
local SOCKET_FLAGS = cdefs.SOCK_STREAM + cdefs.SOCK_NONBLOCK + cdefs.SOCK_CLOEXEC

-- Give fd the local address `from` {host, port}. Returns true, or nil and errno.
local function bind(fd, from)
    local sockaddr, size = address.parse(from.host, from.port)
    if from.port == 0 then
        C.setsockopt(fd, cdefs.IPPROTO_IP, cdefs.IP_BIND_ADDRESS_NO_PORT, one, 4)
    end
    if C.bind(fd, sockaddr, size) == 0 then
        return true
    end
    local err = errno.text(ffi.errno())
    log.crit("bind(", from.host, ") failed (", errno.describe(err), ")")
    return nil, err
end

-- A socket that has begun to connect. Returns its descriptor, or nil, an error text and whether connect() refused.
local function begin(sockaddr, size, family, from, delaying)
    local fd = C.socket(family, SOCKET_FLAGS, 0)
    if fd < 0 then
        return nil, errno.text(ffi.errno())
    end
    if family ~= cdefs.AF_UNIX and not delaying then
        C.setsockopt(fd, cdefs.IPPROTO_TCP, cdefs.TCP_NODELAY, one, 4)
    end
    if from then
        local ok, err = bind(fd, from)
        if not ok then
            C.close(fd)
            return nil, err
        end
    end
    if C.connect(fd, sockaddr, size) ~= 0 then
        local number = ffi.errno()
        if number ~= cdefs.EINPROGRESS then
            C.close(fd)
            return nil, errno.text(number), true
        end
    end
    return fd
end

-- Connect to host (an address in text, or "unix:/path") and port, waiting up to `seconds`; from: the local
-- address {host, port} (port 0: any) to bind to, or nil; delaying: leave what is small to be gathered (Nagle).
-- Returns a stream; or nil and "timeout", "closed", "invalid address" or the system's error text; true third when
-- connect() itself said so.
return function(host, port, seconds, from, delaying)
    local sockaddr, size, family = address.parse(host, port)
    if not sockaddr then
        return nil, "invalid address"
    end
    local fd, err, at_once = begin(sockaddr, size, family, from, delaying)
    if not fd then
        return nil, err, at_once
    end
    -- Registered only now: a socket that has not begun to connect polls as hung up.
    local connection = stream.new(fd)
    connection.connecting = true
    local ok, why = connection:wait_writable(seconds)
    connection.connecting = false
    if not ok then
        connection:close()
        return nil, why
    end
    outcome_size[0] = 4
    C.getsockopt(fd, cdefs.SOL_SOCKET, cdefs.SO_ERROR, outcome, outcome_size)
    if outcome[0] ~= 0 then
        connection:close()
        return nil, errno.text(outcome[0])
    end
    return connection
end
