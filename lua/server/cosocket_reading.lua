-- Owns the receiving half of cosockets: by size, by line, all, any, until a pattern. It reads from the
-- connection's input: peek(), advance(n), fill(seconds), unread(bytes).
-- Source: the ngx_lua documentation, "tcpsock:receive", "tcpsock:receiveany", "tcpsock:receiveuntil".
local ffi = require "ffi"
local argcheck = require "server.argcheck"
local current = require "server.current"
local errno = require "server.errno"
local log = require "server.log"
local matchers = require "server.receive_until"
local state = require "server.cosocket_state"

local ffi_string = ffi.string
local error, type, tonumber, select = error, type, tonumber, select
local concat, min = table.concat, math.min
local find, gsub, sub = string.find, string.gsub, string.sub

local _M = {}

-- Why nothing can be read now, or nil.
local function unreadable(self, quiet)
    if not self.connection or self.read_closed then
        local why = state.absent(self)
        if why == "closed" and not quiet then
            state.closed(self, "receive")
        end
        return why
    elseif self.connection.stream.reader then
        return "socket busy reading"
    end
end

-- Get more bytes. Returns true, or nil and "closed", "timeout" or an error text.
local function more(self, input)
    local seconds = self.read_timeout or state.settings().socket_read_timeout
    log.debug("lua tcp socket read timeout: ", seconds * 1000)
    local running = current.task
    running.socket = self -- so that it ends with a thread that is killed here
    local n, err = input:fill(seconds)
    running.socket = nil
    if n and n > 0 then
        return true
    end
    return nil, n == 0 and (self.at_end or "closed") or err
end

-- Reading has failed. A connection that timed out can still be read.
local function failed(self, err, partial)
    if err == "timeout" then
        state.log_error(self, "lua tcp socket read timed out")
        return nil, err, partial
    end
    self.read_closed = true
    if err ~= "closed" and err ~= "client aborted" then
        log.err("recv() failed (", errno.describe(err), ")")
    end
    return nil, err, partial
end

local function receive_size(self, input, size)
    local parts, left = {}, size
    while true do
        local p, n = input:peek()
        if p then
            n = min(left, n)
            parts[#parts + 1] = ffi_string(p, n)
            input:advance(n)
            left = left - n
            if left == 0 then
                return parts[2] and concat(parts) or parts[1]
            end
        end
        local ok, err = more(self, input)
        if not ok then
            return failed(self, err, concat(parts))
        end
    end
end

local function take_all(input, parts)
    local p, n = input:peek()
    if p then
        local bytes = ffi_string(p, n)
        parts[#parts + 1] = bytes
        input:advance(n)
        return bytes
    end
end

local function receive_all(self, input)
    local parts = {}
    while true do
        take_all(input, parts)
        local ok, err = more(self, input)
        if not ok then
            if err == "closed" then
                return concat(parts)
            end
            return failed(self, err, concat(parts))
        end
    end
end

local function line_of(parts)
    local line = concat(parts)
    return find(line, "\r", 1, true) and gsub(line, "\r", "") or line
end

local function receive_line(self, input)
    local parts = {}
    while true do
        local text = take_all(input, parts)
        if text then
            local stop = find(text, "\n", 1, true)
            if stop then
                if stop < #text then
                    input:unread(sub(text, stop + 1))
                end
                parts[#parts] = sub(text, 1, stop - 1)
                return (line_of(parts))
            end
        end
        local ok, err = more(self, input)
        if not ok then
            return failed(self, err, (line_of(parts)))
        end
    end
end

local PATTERNS = { ["*l"] = receive_line, ["*a"] = receive_all }

-- What to read: a function of PATTERNS, or a size. Raises for anything else.
local function wanted(what)
    local size = tonumber(what)
    if size and type(what) ~= "cdata" then
        if size < 0 then
            argcheck.fail(2, 2, "bad number argument")
        end
        return size - size % 1
    elseif type(what) ~= "string" then
        argcheck.fail(2, 2, "bad argument")
    elseif #what ~= 2 or sub(what, 1, 1) ~= "*" then
        argcheck.fail(2, 2, "bad pattern argument: " .. what)
    elseif not PATTERNS[what] then
        argcheck.fail(2, 2, "bad pattern argument")
    end
    return PATTERNS[what]
end

-- Whoever reads next gets what an iterator of receiveuntil holds back.
local function settle(self, input, matcher)
    local before = self.matcher
    if before ~= matcher then
        self.matcher = matcher
        if before and before.held > 0 then
            input:unread(before:release())
        end
    end
    return input
end

-- sock:receive(what?): a count of bytes, "*l" (a line without its end, the default) or "*a" (until the peer
-- closes). Returns the bytes; or nil, an error text and what had come.
function _M.receive(self, ...)
    local n = select("#", ...) + 1
    if n > 2 then
        error("expecting 1 or 2 arguments (including the object), but got " .. n, 2)
    end
    argcheck.check_table(1, 1, self, n)
    local why = unreadable(self)
    if why == "closed" then
        return nil, why
    end
    state.check_request(self)
    if why then
        return nil, why
    end
    local how = receive_line
    if n > 1 then
        how = wanted((...))
    end
    local input = settle(self, self.connection.input)
    if how == 0 then
        return ""
    elseif type(how) == "number" then
        return receive_size(self, input, how)
    end
    return how(self, input)
end

-- sock:receiveany(max): returns what is there, at least one and at most max bytes; or nil and an error text.
function _M.receiveany(self, ...)
    local n = select("#", ...) + 1
    if n ~= 2 then
        error("expecting 2 arguments (including the object), but got " .. n, 2)
    end
    argcheck.check_table(1, 1, self, n)
    local why = unreadable(self)
    if why == "closed" then
        return nil, why
    end
    state.check_request(self)
    if why then
        return nil, why
    end
    local max = tonumber((...))
    if not max or max < 1 then
        argcheck.fail(1, 2, "bad max argument")
    end
    log.debug("lua tcp socket calling receiveany() method to read at most ", max - max % 1, " bytes")
    log.debug("lua tcp socket read any")
    local input = settle(self, self.connection.input)
    local p, have = input:peek()
    if not p then
        local ok, err = more(self, input)
        if not ok then
            return failed(self, err, "")
        end
        p, have = input:peek()
    end
    have = min(max - max % 1, have)
    local bytes = ffi_string(p, have)
    input:advance(have)
    return bytes
end

-- Collect what comes before matcher's pattern, at most size bytes.
local function read_until(self, input, matcher, size)
    matcher:begin(size)
    while true do
        local p, n = input:peek()
        if p then
            local used, over = matcher:feed(p, n)
            input:advance(used)
            if over then
                matcher.ended = over == "found" and size ~= nil
                return concat(matcher.parts)
            end
        end
        local ok, err = more(self, input)
        if not ok then
            return failed(self, err, concat(matcher.parts))
        end
    end
end

-- Whether what comes before the pattern is to include it, as the options table says.
local function inclusive_of(options)
    local inclusive = options.inclusive
    if inclusive ~= nil and type(inclusive) ~= "boolean" then
        error('bad "inclusive" option value type: ' .. type(inclusive), 3)
    end
    return inclusive == true
end

-- sock:receiveuntil(pattern, options?), options: {inclusive = boolean}. Returns an iterator: it(size?) gives what
-- comes before pattern, at most size bytes a call (all of it without size); with size, nil follows the last
-- piece. On failure nil, an error text and what had come.
function _M.receiveuntil(self, ...)
    local n = select("#", ...) + 1
    if n ~= 2 and n ~= 3 then
        error("expecting 2 or 3 arguments (including the object), but got " .. n, 2)
    end
    local pattern, options = ...
    local inclusive = false
    if n == 3 then
        argcheck.check_table(1, 3, options, n)
        inclusive = inclusive_of(options)
    end
    argcheck.check_table(1, 1, self, n)
    pattern = argcheck.check_string(1, 2, pattern, n)
    if pattern == "" then
        return nil, "pattern is empty"
    end
    local matcher = matchers.new(pattern, inclusive)
    return function(...)
        local count = select("#", ...)
        if count > 1 then
            error("expecting 0 or 1 argument, but seen " .. count, 2)
        end
        local size = count == 1 and argcheck.check_integer(1, 1, (...), 1) or 0
        local why = unreadable(self, true)
        if why == "closed" then
            return nil, why
        end
        state.check_request(self)
        if why then
            return nil, why
        elseif matcher.ended then
            matcher.ended = false
            return nil, nil, nil
        end
        return read_until(self, settle(self, self.connection.input, matcher), matcher, size > 0 and size or nil)
    end
end

return _M
