-- Owns what has been received from one peer and not been used yet. It holds a buffer only while that
-- holds bytes, so an idle connection costs no memory.
local ffi = require "ffi"
local buffers = require "server.buffers"

local copy = ffi.copy
local take, give = buffers.take, buffers.give
local SIZE = buffers.SIZE
local setmetatable = setmetatable

pcall(ffi.cdef, "void *memmove(void *to, const void *from, size_t n);")

local Input = {}
Input.__index = Input

local _M = {}

-- An input over a stream. buffer[pos..len) are the unused bytes; buffer is nil when there are none.
function _M.new(stream)
    return setmetatable({ stream = stream, buffer = nil, pos = 0, len = 0 }, Input)
end

-- Receive more, waiting up to `seconds` for it. Returns how many bytes came, 0 at the end of the
-- stream, or nil and "timeout", "closed", "full" or an error text.
function Input:fill(seconds)
    local stream = self.stream
    local buffer = self.buffer
    if not buffer then
        local ok, err = stream:wait_readable(seconds)
        if not ok then
            return nil, err
        end
        buffer = take()
        local n
        n, err = stream:recv(buffer, SIZE)
        if n and n > 0 then
            self.buffer, self.pos, self.len = buffer, 0, n
            return n
        end
        give(buffer)
        if not n and err == "again" then
            return self:fill(seconds) -- no loop: one that runs once keeps the JIT from its caller
        end
        return n, err
    end
    local pos, len = self.pos, self.len
    if pos > 0 then
        ffi.C.memmove(buffer, buffer + pos, len - pos)
        len = len - pos
        self.pos, self.len = 0, len
    end
    if len == SIZE then
        return nil, "full"
    end
    local n, err = stream:read(buffer + len, SIZE - len, seconds)
    if n and n > 0 then
        self.len = len + n
    end
    return n, err
end

-- What is unused: a pointer and a count, or nil when there is nothing.
function Input:peek()
    local buffer = self.buffer
    if buffer then
        return buffer + self.pos, self.len - self.pos
    end
end

-- Mark n bytes as used. They are gone already when the stream was closed while they were in use.
function Input:advance(n)
    if not self.buffer then
        return
    end
    local pos = self.pos + n
    if pos >= self.len then
        give(self.buffer)
        self.buffer, self.pos, self.len = nil, 0, 0
    else
        self.pos = pos
    end
end

-- Take all unused bytes as a string, or nil when there are none.
function Input:take_all()
    local buffer = self.buffer
    if not buffer then
        return nil
    end
    local bytes = ffi.string(buffer + self.pos, self.len - self.pos)
    self:advance(self.len - self.pos)
    return bytes
end

-- Put bytes in front of what is unused. Returns true, or nil when they do not fit.
function Input:unread(bytes)
    local held = self.buffer and self.len - self.pos or 0
    if held + #bytes > SIZE then
        return nil
    end
    local buffer = take()
    copy(buffer, bytes, #bytes)
    if held > 0 then
        copy(buffer + #bytes, self.buffer + self.pos, held)
        give(self.buffer)
    end
    self.buffer, self.pos, self.len = buffer, 0, #bytes + held
    return true
end

-- Drop what is unused and give the buffer back.
function Input:clear()
    if self.buffer then
        give(self.buffer)
        self.buffer, self.pos, self.len = nil, 0, 0
    end
end

return _M
