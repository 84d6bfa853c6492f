-- Owns the TLS side of a stream: a stream on which the handshake is under way or done gets this class
-- instead of the plain one, so that plain streams pay nothing for TLS. Everything that a plain stream
-- offers works here. Must never run a handshake (see server.tls.handshake): no function here may end in
-- an OpenSSL call that calls back into Lua, since these run compiled.
local ffi = require "ffi"
local bit = require "bit"
local cdefs = require "server.cdefs"
local failure = require "server.tls.failure"
local log = require "server.log"
local ssl = require "server.tls.library"
local streams = require "server.stream"

local band, bor = bit.band, bit.bor
local ffi_errno = ffi.errno
local error_text = streams.error_text
local setmetatable, pairs = setmetatable, pairs
local clear_error, get_error = ssl.ERR_clear_error, ssl.SSL_get_error
local ssl_read, ssl_write = ssl.SSL_read, ssl.SSL_write

local WANT_READ, WANT_WRITE, SYSCALL, ZERO_RETURN = 2, 3, 5, 6
local EITHER = cdefs.EPOLLIN + cdefs.EPOLLOUT
local WRITE_MAX = 0x40000000 -- SSL_write counts in an int

local Plain = streams.Stream
local Tls = {}
Tls.__index = Tls
for name, method in pairs(Plain) do
    if name ~= "__index" then
        Tls[name] = method
    end
end

local _M = {}

-- Make a stream one that speaks TLS by `connection` (an SSL *, the stream's from now on).
function _M.wrap(stream, connection)
    stream.ssl = connection
    stream.handshaked = false
    stream.broken = false -- after a fatal error nothing more may be sent, no farewell either
    stream.owed = false -- bytes of a send that was put off lie encrypted in the SSL object already
    stream.crossed = false -- reading waits for room to send, or sending for bytes to read
    return setmetatable(stream, Tls)
end

-- What a failed call means; what: "SSL_read" or "SSL_write". Returns 0 for a proper end, or nil and "again",
-- "closed" or an error text.
local function trouble(self, rc, errno, what)
    local code = get_error(self.ssl, rc)
    if code == WANT_READ or code == WANT_WRITE then
        if (code == WANT_WRITE) ~= (what == "SSL_write") then
            self.crossed, self.readable, self.writable = true, false, false
        elseif code == WANT_READ then
            self.readable = false
        else
            self.writable = false
        end
        return nil, "again"
    elseif code == ZERO_RETURN then
        return 0
    end
    self.broken = true
    if code == SYSCALL and ssl.ERR_peek_error() == 0 then
        if errno == 0 then
            return 0
        end
        return nil, error_text(errno)
    end
    log.info(what, "() failed ", failure.describe())
    return nil, "error"
end

-- Reading and sending each may have to wait for what the other waits for otherwise.
function Tls:on_event(events)
    if self.crossed and not self.closed then
        self.crossed = false
        if band(events, EITHER) ~= 0 then
            events = bor(events, EITHER)
        end
    end
    return Plain.on_event(self, events)
end

function Tls:recv(buffer, size)
    if self.closed then
        return nil, "closed"
    end
    clear_error()
    local n = ssl_read(self.ssl, buffer, size)
    if n > 0 then
        return n
    end
    return trouble(self, n, ffi_errno(), "SSL_read")
end

function Tls:send_some(pointer, size)
    if self.closed then
        return nil, "closed"
    elseif size == 0 then
        return 0
    end
    clear_error()
    local n = ssl_write(self.ssl, pointer, size < WRITE_MAX and size or WRITE_MAX)
    if n > 0 then
        self.owed = false
        return n
    end
    local ended, err = trouble(self, n, ffi_errno(), "SSL_write")
    if ended then
        return nil, "broken pipe"
    end
    self.owed = err == "again"
    return nil, err
end

-- Tell the peer that nothing more will be sent, as far as the kernel takes it now.
function Tls:say_goodbye()
    if self.handshaked and not self.broken and not self.owed then
        clear_error()
        ssl.SSL_shutdown(self.ssl)
        self.broken = true
    end
end

function Tls:close()
    if self.closed then
        return
    end
    self:say_goodbye()
    Plain.close(self)
    ssl.SSL_free(ffi.gc(self.ssl, nil))
    self.ssl = nil
end

return _M
