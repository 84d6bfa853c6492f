-- Owns non-blocking stream sockets: readiness, waiting with lazy deadlines, receiving and sending.
-- Registered with the hub once, edge-triggered; `readable`/`writable` remember what epoll told.
-- A stream arms at most one timer, and re-arms it when it fires before the deadline: the hot path
-- never touches the tree. Must never know of HTTP.
local ffi = require "ffi"
local bit = require "bit"
local bridge = require "server.bridge"
local cdefs = require "server.cdefs"
local clock = require "server.clock"
local current = require "server.current"
local error_text = require("server.errno").text
local task = require "server.task"

local C = ffi.C
local cast = ffi.cast
local band = bit.band
local ffi_errno = ffi.errno
local monotonic = clock.monotonic
local resume = task.resume
local task_wait = task.wait
local call = bridge.call
local setmetatable = setmetatable

local EAGAIN, EINTR = cdefs.EAGAIN, cdefs.EINTR
local NOSIGNAL = cdefs.MSG_NOSIGNAL
local READ_EVENTS = cdefs.EPOLLIN + cdefs.EPOLLRDHUP + cdefs.EPOLLHUP + cdefs.EPOLLERR
local WRITE_EVENTS = cdefs.EPOLLOUT + cdefs.EPOLLHUP + cdefs.EPOLLERR
local HANGUP_EVENTS = cdefs.EPOLLRDHUP + cdefs.EPOLLHUP + cdefs.EPOLLERR

local Stream = {}
Stream.__index = Stream

-- Whatever has on_event(self, events), by descriptor.
local by_fd = {}

local _M = { by_fd = by_fd, Stream = Stream }

_M.error_text = error_text -- errno -> text

-- A stream over a connected or connecting non-blocking descriptor, which it owns from now on.
function _M.new(fd)
    local self = setmetatable({
        fd = fd, readable = false, writable = false, hangup = false, closed = false,
        reader = nil, writer = nil, read_deadline = 0, write_deadline = 0,
        armed = nil, armed_at = 0, on_hangup = nil, idle = nil, connecting = false,
    }, Stream)
    by_fd[fd] = self
    call.add_io(fd)
    return self
end

-- Entry from the hub: one call per epoll event.
function _M.dispatch(fd, events)
    local object = by_fd[fd]
    if object then
        return object:on_event(events)
    end
end

function Stream:on_event(events)
    if band(events, HANGUP_EVENTS) ~= 0 then
        self.hangup = true
    end
    if band(events, WRITE_EVENTS) ~= 0 then
        self.writable = true
        local writer = self.writer
        if writer then
            self.writer = nil
            resume(writer, true)
        end
    end
    if band(events, READ_EVENTS) ~= 0 and not self.closed then
        self.readable = true
        local reader = self.reader
        if reader then
            self.reader = nil
            return resume(reader, true)
        end
        if self.idle then
            return self.idle:on_idle_event(self)
        end
        if self.hangup and self.on_hangup then
            return self.on_hangup(self)
        end
    end
end

local function arm(self, deadline)
    if self.armed then
        if self.armed_at <= deadline then
            return
        end
        bridge.cancel(self.armed)
    end
    self.armed_at = deadline
    self.armed = bridge.call_at(deadline, self)
end

function Stream:on_timer()
    self.armed = nil
    local now = monotonic()
    local reader, writer = self.reader, self.writer
    local read_at, write_at = self.read_deadline, self.write_deadline
    if reader and read_at > now then
        arm(self, read_at)
    end
    if writer and write_at > now then
        arm(self, write_at)
    end
    if self.idle and read_at > now then
        arm(self, read_at)
    elseif self.idle then
        return self.idle:on_idle_event(self)
    end
    if reader and read_at <= now then
        self.reader = nil
        resume(reader, nil, "timeout")
    end
    if writer and write_at <= now and self.writer == writer then
        self.writer = nil
        resume(writer, nil, "timeout")
    end
end

function Stream:cancel_wait(waiting)
    if self.reader == waiting then
        self.reader = nil
    end
    if self.writer == waiting then
        self.writer = nil
    end
    if self.connecting then -- nobody else knows of it yet
        self:close()
    end
end

-- Wait until there is something to read. seconds: how long at most.
-- Returns true, or nil and "timeout" or "closed".
function Stream:wait_readable(seconds)
    if self.readable then
        return true
    end
    if self.closed then
        return nil, "closed"
    end
    local deadline = monotonic() + seconds
    self.reader = current.task
    self.read_deadline = deadline
    arm(self, deadline)
    return task_wait(self)
end

-- Wait until bytes can be sent (or a connect has ended). Returns as wait_readable does.
-- place: told of the waiting task's death in the stream's stead (see server.task); it tells the stream.
function Stream:wait_writable(seconds, place)
    if self.writable then
        return true
    end
    if self.closed then
        return nil, "closed"
    end
    local deadline = monotonic() + seconds
    self.writer = current.task
    self.write_deadline = deadline
    arm(self, deadline)
    return task_wait(place or self)
end

-- Whoever waits for something to read begins to wait anew: `seconds` from now on.
function Stream:postpone(seconds)
    self.read_deadline = monotonic() + seconds
end

-- Keep the stream unused for at most `seconds`; owner:on_idle_event(stream) hears of bytes, end or timeout.
function Stream:set_idle(owner, seconds)
    self.idle = owner
    if owner then
        local deadline = monotonic() + seconds
        self.read_deadline = deadline
        arm(self, deadline)
    end
end

-- Receive what is there, without waiting. Returns a count, 0 at the end of the stream,
-- or nil and "again" or the system's error text.
function Stream:recv(buffer, size)
    local n = C.pygw_recv(self.fd, buffer, size, 0)
    if n > 0 then
        if n < size and not self.hangup then
            self.readable = false -- drained: the next byte brings a new edge
        end
        return n
    end
    if n == 0 then
        return 0
    end
    local errno = ffi_errno()
    if errno == EAGAIN then
        self.readable = false
        return nil, "again"
    end
    if errno == EINTR then
        return self:recv(buffer, size)
    end
    return nil, self.closed and "closed" or error_text(errno)
end

-- Receive at least one byte, waiting up to `seconds` for it. Returns as recv, never "again".
function Stream:read(buffer, size, seconds)
    while true do
        local ok, err = self:wait_readable(seconds)
        if not ok then
            return nil, err
        end
        local n
        n, err = self:recv(buffer, size)
        if n or err ~= "again" then
            return n, err
        end
    end
end

-- Send what the kernel takes, without waiting. Returns a count, or nil and "again" or an error text.
function Stream:send_some(pointer, size, flags)
    local n = C.pygw_send(self.fd, pointer, size, flags or NOSIGNAL)
    if n >= 0 then
        return n
    end
    local errno = ffi_errno()
    if errno == EAGAIN then
        self.writable = false
        return nil, "again"
    end
    if errno == EINTR then
        return self:send_some(pointer, size, flags)
    end
    return nil, self.closed and "closed" or error_text(errno)
end

-- Send all of it; each wait for the peer takes at most `seconds`. Returns true, or nil and an error text.
function Stream:send(pointer, size, seconds)
    while size > 0 do
        local n, err = self:send_some(pointer, size)
        if n then
            pointer = pointer + n
            size = size - n
        elseif err == "again" then
            local ok, why = self:wait_writable(seconds)
            if not ok then
                return nil, why
            end
        else
            return nil, err
        end
    end
    return true
end

-- The same for a text. It is held meanwhile: a pointer into it does not keep it from the collector.
function Stream:send_text(text, seconds)
    self.held = text
    local ok, err = self:send(cast("const uint8_t *", text), #text, seconds)
    self.held = nil
    return ok, err
end

-- Close the stream; whoever waits on it is told "closed".
function Stream:close()
    if self.closed then
        return
    end
    self.closed = true
    if self.armed then
        bridge.cancel(self.armed)
        self.armed = nil
    end
    by_fd[self.fd] = nil
    C.close(self.fd) -- which also takes it out of the epoll set
    self.fd = -1 -- the number may be another's soon: who still reads or sends here must fail
    self.readable, self.writable = false, false
    local reader, writer = self.reader, self.writer
    self.reader, self.writer, self.on_hangup = nil, nil, nil
    if reader then
        task.wake(reader, nil, "closed")
    end
    if writer then
        task.wake(writer, nil, "closed")
    end
end

-- Close every stream that is left, telling nobody: the worker is over.
function _M.close_all()
    for fd, object in pairs(by_fd) do
        if object.close then -- listeners are their owner's to close
            C.close(fd)
            by_fd[fd] = nil
        end
    end
end

return _M
