-- Owns the translation between socket addresses and text.
local ffi = require "ffi"
local cdefs = require "server.cdefs"

local C = ffi.C
local text = ffi.new("char[64]")
local AF_INET, AF_INET6, AF_UNIX = cdefs.AF_INET, cdefs.AF_INET6, cdefs.AF_UNIX

local _M = {}

local function set_port(field, port)
    field[0] = bit.rshift(port, 8)
    field[1] = bit.band(port, 255)
end

-- host: an IPv4 or IPv6 address in text (IPv6 also in brackets), or "unix:/path".
-- Returns a sockaddr, its length and its family, or nil when host is not an address.
function _M.parse(host, port)
    local address = ffi.new("union pygw_sockaddr")
    if host:sub(1, 5) == "unix:" then
        local path = host:sub(6)
        if #path >= 108 then
            return nil
        end
        address.un.family = AF_UNIX
        ffi.copy(address.un.path, path)
        return address, 2 + #path + 1, AF_UNIX
    end
    if C.inet_pton(AF_INET, host, address.in4.addr) == 1 then
        address.in4.family = AF_INET
        set_port(address.in4.port, port)
        return address, ffi.sizeof("struct pygw_sockaddr_in"), AF_INET
    end
    local inner = host:match("^%[(.*)%]$") or host
    if C.inet_pton(AF_INET6, inner, address.in6.addr) == 1 then
        address.in6.family = AF_INET6
        set_port(address.in6.port, port)
        return address, ffi.sizeof("struct pygw_sockaddr_in6"), AF_INET6
    end
    return nil
end

-- Returns the address of a filled sockaddr as text and its port (a number; 0 for unix sockets).
function _M.format(address)
    local family = address.family
    if family == AF_INET then
        local port = address.in4.port
        C.inet_ntop(AF_INET, address.in4.addr, text, 64)
        return ffi.string(text), port[0] * 256 + port[1]
    elseif family == AF_INET6 then
        local port = address.in6.port
        C.inet_ntop(AF_INET6, address.in6.addr, text, 64)
        return ffi.string(text), port[0] * 256 + port[1]
    end
    return "unix:", 0
end

return _M
