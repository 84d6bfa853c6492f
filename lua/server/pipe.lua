-- Owns one end of a pipe to a process: reading by pattern, writing, what is left over between two reads.
-- Must never know of processes.
local buffer = require "string.buffer"
local ffi = require "ffi"
local cdefs = require "server.cdefs"
local streams = require "server.stream"

local C = ffi.C
local cast, ffi_string = ffi.cast, ffi.string
local min = math.min
local gsub = string.gsub
local setmetatable, tonumber = setmetatable, tonumber

ffi.cdef [[ long pygw_read(int fd, void *buf, size_t len) __asm__("read"); ]]

local NEVER = 1e9 -- seconds: the timeout 0 means none
local LF = 10

local _M = {}

-- A stream's recv and send_some, for a descriptor that is no socket.
local function recv(self, into, size)
    local n = tonumber(C.pygw_read(self.fd, into, size))
    if n > 0 then
        if n < size and not self.hangup then
            self.readable = false
        end
        return n
    elseif n == 0 then
        return 0
    end
    local errno = ffi.errno()
    if errno == cdefs.EAGAIN then
        self.readable = false
        return nil, "again"
    elseif errno == cdefs.EINTR then
        return recv(self, into, size)
    end
    return nil, ffi_string(C.strerror(errno))
end

local function send_some(self, pointer, size)
    local n = C.pygw_write(self.fd, pointer, size)
    if n >= 0 then
        return n
    end
    local errno = ffi.errno()
    if errno == cdefs.EAGAIN then
        self.writable = false
        return nil, "again"
    elseif errno == cdefs.EINTR then
        return send_some(self, pointer, size)
    end
    return nil, errno == cdefs.EPIPE and "closed" or ffi_string(C.strerror(errno))
end

local Pipe = {}
Pipe.__index = Pipe

-- Over a non-blocking descriptor, which it owns from now on. piece: bytes asked for in one read.
function _M.new(fd, piece)
    local stream = streams.new(fd)
    stream.recv, stream.send_some = recv, send_some
    return setmetatable({ stream = stream, piece = piece, rest = buffer.new(), eof = false, why = nil }, Pipe)
end

-- Does a task wait here?
function Pipe:busy()
    return self.stream.reader ~= nil or self.stream.writer ~= nil
end

function Pipe:closed()
    return self.stream.closed
end

-- Close it. Whoever waits for it is told `why` ("aborted"); what came until now is still its.
function Pipe:close(why)
    if not self.stream.closed then
        self.why = why
        if why == "closed" and self:busy() then
            self:fill()
        end
        self.stream:close()
    end
end

-- Read what is there now into `rest`, and note the end. Returns nil and an error text when that fails.
function Pipe:fill()
    local rest = self.rest
    repeat
        local into, room = rest:reserve(self.piece)
        local n, err = self.stream:recv(into, min(room, self.piece))
        rest:commit(n or 0)
        if n == 0 then
            self.eof = true
        elseif err and err ~= "again" then
            return nil, err
        end
    until err or self.eof
    return true
end

local function wait(self, seconds)
    local stream = self.stream
    stream.readable = false -- fill() has seen it empty
    local ok, err = stream:wait_readable(seconds > 0 and seconds or NEVER)
    if not ok and err == "closed" then
        err = self.why
    end
    return ok, err
end

-- Read until pick(rest, eof, limit) is content. pick returns the data, or nil and, at the end of the
-- stream, why there is none. Returns the data; or nil, an error text, and what has come so far.
local function read(self, seconds, pick, limit)
    local rest = self.rest
    while true do
        local data, err = pick(rest, self.eof, limit)
        if data then
            return data
        end
        local ok = true
        if not err then
            local before = #rest
            ok, err = self:fill()
            if ok and #rest == before and not self.eof then
                ok, err = wait(self, seconds)
            end
        end
        if err or not ok then
            return nil, err, rest:get()
        end
    end
end

local function pick_all(rest, eof)
    return eof and rest:get() or nil
end

local function pick_any(rest, eof, limit)
    if #rest > 0 then
        return rest:get(limit)
    end
    return nil, eof and "closed" or nil
end

local function pick_bytes(rest, eof, limit)
    if #rest >= limit then
        return rest:get(limit)
    end
    return nil, eof and "closed" or nil
end

local function pick_line(rest, eof)
    local start, n = rest:ref()
    local found = C.pygw_memchr(start, LF, n)
    if found ~= nil then
        local line = rest:get(tonumber(found - cast("uint8_t *", start)))
        rest:skip(1)
        return (gsub(line, "\r", ""))
    end
    return nil, eof and "closed" or nil
end

local PICKS = { all = pick_all, any = pick_any, bytes = pick_bytes, line = pick_line }

-- Read what pattern ("all", "any", "bytes", "line") says; limit: bytes, for "any" and "bytes"; each wait takes
-- at most `seconds` (0: for ever). Returns the data, or nil, an error text and what has come so far.
function Pipe:read(seconds, pattern, limit)
    return read(self, seconds, PICKS[pattern], limit)
end

-- Write all of data; each wait takes at most `seconds` (0: for ever). Returns the number of bytes, or nil
-- and an error text.
function Pipe:write(data, seconds)
    local ok, err = self.stream:send_text(data, seconds > 0 and seconds or NEVER)
    if ok then
        return #data
    end
    return nil, self.stream.closed and self.why or err
end

return _M
