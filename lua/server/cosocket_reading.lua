-- Owns the receiving half of cosockets: by size, by line, all, any, until a pattern.
local ffi = require "ffi"
local log = require "server.log"

local ffi_string = ffi.string
local error, type, tostring, tonumber = error, type, tostring, tonumber
local concat, min = table.concat, math.min
local find, sub, gsub = string.find, string.sub, string.gsub

local _M = {}

local function unreadable(self, connection)
    if connection then
        return "socket busy reading"
    end
    return self.claim and "socket busy connecting" or "closed"
end

-- Get more bytes. Returns true, or nil and "closed", "timeout" or an error text.
local function more(self, connection)
    local n, err = connection.input:fill(self.read_timeout)
    if n and n > 0 then
        return true
    end
    return nil, n == 0 and "closed" or err
end

local function failed(self, err, partial)
    if err == "timeout" then
        log.err("lua tcp socket read timed out")
    end
    if err ~= "timeout" then -- a connection that timed out can still be read
        self:close()
    end
    return nil, err, partial
end

local function receive_size(self, connection, size)
    if size == 0 then
        return ""
    end
    local input = connection.input
    local parts, left = {}, size
    while left > 0 do
        if not input.buffer then
            local ok, err = more(self, connection)
            if not ok then
                return failed(self, err, concat(parts))
            end
        end
        local n = min(left, input.len - input.pos)
        parts[#parts + 1] = ffi_string(input.buffer + input.pos, n)
        input:advance(n)
        left = left - n
    end
    return parts[2] and concat(parts) or parts[1]
end

local function receive_all(self, connection)
    local parts = {}
    while true do
        parts[#parts + 1] = connection.input:take_all()
        local ok, err = more(self, connection)
        if not ok then
            if err == "closed" then
                self:close()
                return concat(parts)
            end
            return failed(self, err, concat(parts))
        end
    end
end

local function receive_line(self, connection)
    local parts = {}
    while true do
        local text = connection.input:take_all()
        if text then
            local stop = find(text, "\n", 1, true)
            if stop then
                if stop < #text then
                    connection.input:unread(sub(text, stop + 1))
                end
                parts[#parts + 1] = sub(text, 1, stop - 1)
                return (gsub(concat(parts), "\r", ""))
            end
            parts[#parts + 1] = text
        end
        local ok, err = more(self, connection)
        if not ok then
            return failed(self, err, concat(parts))
        end
    end
end

-- what: a count of bytes, "*l" (a line without its end, the default) or "*a" (until the peer closes).
-- Returns the bytes; or nil, an error text and what had come.
function _M.receive(self, what)
    local connection = self.connection
    local size = tonumber(what)
    if size then
        if size < 0 then
            error("bad argument #1 to 'receive' (bad pattern argument)", 2)
        end
    elseif what ~= nil and what ~= "*l" and what ~= "*a" then
        error("bad argument #1 to 'receive' (bad pattern argument: " .. tostring(what) .. ")", 2)
    end
    if not connection or connection.stream.reader then
        return nil, unreadable(self, connection)
    end
    if size then
        return receive_size(self, connection, size)
    elseif what == "*a" then
        return receive_all(self, connection)
    end
    return receive_line(self, connection)
end

-- Returns what is there, at least one and at most max bytes; or nil and an error text.
function _M.receiveany(self, max)
    max = tonumber(max)
    if not max or max < 1 then
        error("bad argument #1 to 'receiveany' (bad max argument)", 2)
    end
    local connection = self.connection
    if not connection or connection.stream.reader then
        return nil, unreadable(self, connection)
    end
    local input = connection.input
    if not input.buffer then
        local ok, err = more(self, connection)
        if not ok then
            return failed(self, err, "")
        end
    end
    local n = min(max, input.len - input.pos)
    local bytes = ffi_string(input.buffer + input.pos, n)
    input:advance(n)
    return bytes
end

-- One step of an iterator of receiveuntil. state: what was received and not handed out, and how it stands.
local function read_until(self, state, pattern, inclusive, size)
    if state.ended then
        state.ended = false
        return nil, nil, nil
    end
    local connection = self.connection
    if not connection or connection.stream.reader then
        return nil, unreadable(self, connection)
    end
    local input = connection.input
    local held = state.held
    while true do
        held = held .. (input:take_all() or "")
        local start, stop = find(held, pattern, 1, true)
        if start and (not size or start - 1 < size) then
            if stop < #held then
                input:unread(sub(held, stop + 1))
            end
            state.held = ""
            state.ended = size ~= nil
            return sub(held, 1, inclusive and stop or start - 1)
        end
        local safe = start and start - 1 or #held - #pattern + 1
        if size and safe >= size then
            state.held = sub(held, size + 1)
            return sub(held, 1, size)
        end
        local ok, err = more(self, connection)
        if not ok then
            state.held = ""
            return failed(self, err, held)
        end
    end
end

-- Returns an iterator: it(size) gives what comes before pattern, at most size bytes a call (all of it
-- without size), then nil; or nil, an error text and what had come. options: {inclusive = true}.
function _M.receiveuntil(self, pattern, options)
    if type(pattern) ~= "string" and type(pattern) ~= "number" then
        error("bad argument #1 to 'receiveuntil' (string expected, got " .. type(pattern) .. ")", 2)
    end
    pattern = tostring(pattern)
    if pattern == "" then
        return nil, "pattern is empty"
    end
    local inclusive = options and options.inclusive or false
    local state = { held = "", ended = false }
    return function(size)
        size = tonumber(size)
        return read_until(self, state, pattern, inclusive, size and size > 0 and size or nil)
    end
end

return _M
