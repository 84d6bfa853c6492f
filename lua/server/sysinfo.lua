-- Owns small questions to the system that variables and ngx.* need: who this process and host are, the
-- local end of a connection, random bytes.
local ffi = require "ffi"
local address = require "server.address"
local cdefs = require "server.cdefs"

local C = ffi.C
local TCP_INFO = 11

pcall(ffi.cdef, "int getpid(void);")
pcall(ffi.cdef, "int getppid(void);")
pcall(ffi.cdef, "int gethostname(char *name, size_t size);")
pcall(ffi.cdef, "char *realpath(const char *path, char *resolved);")
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

-- The address and port that a listener ({fd}) is bound to, as "127.0.0.1:9080".
function _M.listening_address(listener)
    local text = listener.address
    if not text then
        size[0] = ffi.sizeof(sockaddr)
        C.getsockname(listener.fd, sockaddr, size)
        local host, port = address.format(sockaddr)
        text = (host:find(":", 1, true) and "[" .. host .. "]" or host) .. ":" .. port
        listener.address = text
    end
    return text
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

local PATH_MAX = 4096

-- An existing path with its links resolved, or nil.
function _M.real_path(path)
    local resolved = ffi.new("char[?]", PATH_MAX)
    return C.realpath(path, resolved) ~= nil and ffi.string(resolved) or nil
end

local info = ffi.new("uint32_t[64]")

-- The `place`th 32-bit number (from 0, behind the 8 bytes) of a connection's struct tcp_info; nil without.
function _M.tcp_info(fd, place)
    size[0] = ffi.sizeof(info)
    if C.getsockopt(fd, cdefs.IPPROTO_TCP, TCP_INFO, info, size) ~= 0 then
        return nil
    end
    return info[2 + place]
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
