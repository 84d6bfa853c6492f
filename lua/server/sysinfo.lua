-- Owns small questions to the system that variables and ngx.* need: who this process and host are, the
-- local end of a connection, random bytes.
local ffi = require "ffi"
local address = require "server.address"
local cdefs = require "server.cdefs"

local C = ffi.C

pcall(ffi.cdef, "int getpid(void);")
pcall(ffi.cdef, "int getppid(void);")
pcall(ffi.cdef, "int gethostname(char *name, size_t size);")
pcall(ffi.cdef, "long getrandom(void *into, size_t size, unsigned int flags);")

local _M = {}

local sockaddr = ffi.new("union pygw_sockaddr")
local size = ffi.new("unsigned int[1]")

function _M.getpid()
    return C.getpid()
end

function _M.getppid()
    return C.getppid()
end

local hostname

function _M.hostname()
    if not hostname then
        local name = ffi.new("char[256]")
        C.gethostname(name, 255)
        hostname = ffi.string(name)
    end
    return hostname
end

-- The local address and port of request r's connection.
function _M.local_address(r)
    local conn = r.conn
    if not conn.local_addr then
        size[0] = ffi.sizeof(sockaddr)
        C.getsockname(conn.stream.fd, sockaddr, size)
        conn.local_addr, conn.local_port = address.format(sockaddr)
    end
    return conn.local_addr, conn.local_port
end

-- An address in text as its 4 or 16 bytes.
function _M.binary_address(text)
    local parsed, _, family = address.parse(text, 0)
    if not parsed then
        return text
    elseif family == cdefs.AF_INET then
        return ffi.string(parsed.in4.addr, 4)
    end
    return ffi.string(parsed.in6.addr, 16)
end

-- 2 * count hexadecimal digits from the kernel's random source.
function _M.random_hex(count)
    local bytes = ffi.new("uint8_t[?]", count)
    C.getrandom(bytes, count, 0)
    local out = {}
    for i = 0, count - 1 do
        out[i + 1] = ("%02x"):format(bytes[i])
    end
    return table.concat(out)
end

return _M
