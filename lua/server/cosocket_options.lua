-- Owns what can be set on a cosocket: its timeouts and the system's socket options.
-- Source: the ngx_lua documentation, "tcpsock:settimeout", "tcpsock:settimeouts", "tcpsock:setoption",
-- "tcpsock:getfd"; lua-resty-core for "getoption".
local ffi = require "ffi"
local cdefs = require "server.cdefs"
local log = require "server.log"
local streams = require "server.stream"

local C = ffi.C
local error, select, tonumber, tostring = error, select, tonumber, tostring

local _M = {}

-- Milliseconds as seconds; nil for 0 (the setting's default). Raises for what nginx cannot hold.
local function seconds(milliseconds)
    milliseconds = tonumber(milliseconds) or 0
    if milliseconds < 0 or milliseconds >= 2147483648 then
        error("bad timeout value", 3)
    end
    milliseconds = milliseconds - milliseconds % 1
    return milliseconds > 0 and milliseconds / 1000 or nil
end
_M.seconds = seconds

-- sock:settimeout(milliseconds), for connecting, sending and receiving; 0 or nil: the settings'.
function _M.settimeout(self, ...)
    local n = select("#", ...) + 1
    if n ~= 2 then
        error("ngx.socket settimeout: expecting 2 arguments (including the object) but seen " .. n, 2)
    end
    local value = seconds((...))
    self.connect_timeout, self.send_timeout, self.read_timeout = value, value, value
    log.debug("lua tcp socket timeout: ", (...), " ms")
end

-- sock:settimeouts(connecting, sending, receiving).
function _M.settimeouts(self, ...)
    local n = select("#", ...) + 1
    if n ~= 4 then
        error("ngx.socket settimeouts: expecting 4 arguments (including the object) but seen " .. n, 2)
    end
    local connecting, sending, receiving = ...
    connecting = seconds(connecting)
    sending = seconds(sending)
    self.connect_timeout, self.send_timeout, self.read_timeout = connecting, sending, seconds(receiving)
end

local OPTIONS = { -- name -> level and name of the system's option
    keepalive = { cdefs.SOL_SOCKET, cdefs.SO_KEEPALIVE },
    reuseaddr = { cdefs.SOL_SOCKET, cdefs.SO_REUSEADDR },
    sndbuf = { cdefs.SOL_SOCKET, cdefs.SO_SNDBUF },
    rcvbuf = { cdefs.SOL_SOCKET, cdefs.SO_RCVBUF },
    ["tcp-nodelay"] = { cdefs.IPPROTO_TCP, cdefs.TCP_NODELAY },
    keepintvl = { cdefs.IPPROTO_TCP, cdefs.TCP_KEEPINTVL },
    keepcnt = { cdefs.IPPROTO_TCP, cdefs.TCP_KEEPCNT },
}

local value_buffer = ffi.new("int[1]")
local size_buffer = ffi.new("unsigned int[1]")

-- The system's name of an option, or nil and why there is none; then the socket's descriptor.
local function look_up(self, name)
    if name == nil then
        return nil, 'missing the "option" argument'
    end
    local option = OPTIONS[name]
    if not option then
        return nil, "unsupported option " .. tostring(name)
    elseif not self.used then
        error("socket is never created nor connected", 3)
    elseif not self.connection then
        return nil, "closed"
    end
    return option, self.connection.stream.fd
end

-- Returns the option's value, a number; or nil and an error text.
function _M.getoption(self, name)
    local option, fd = look_up(self, name)
    if not option then
        return nil, fd
    end
    size_buffer[0] = 4
    if C.getsockopt(fd, option[1], option[2], value_buffer, size_buffer) ~= 0 then
        return nil, streams.error_text(ffi.errno())
    end
    return value_buffer[0]
end

-- value: a number or boolean. Returns true, or nil and an error text.
function _M.setoption(self, name, value)
    if name ~= nil and value == nil then
        return nil, 'missing the "value" argument'
    end
    local option, fd = look_up(self, name)
    if not option then
        return nil, fd
    end
    value_buffer[0] = value == true and 1 or value == false and 0 or value
    if C.setsockopt(fd, option[1], option[2], value_buffer, 4) ~= 0 then
        return nil, streams.error_text(ffi.errno())
    end
    return true
end

-- The socket's descriptor, or nil and "closed".
function _M.getfd(self)
    if not self then
        error("ngx.socket getfd: expecting the cosocket object, but seen none", 2)
    elseif not self.used then
        error("socket is never created nor connected", 2)
    elseif not self.connection then
        return nil, "closed"
    end
    return self.connection.stream.fd
end

return _M
