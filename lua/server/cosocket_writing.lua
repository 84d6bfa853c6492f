-- Owns the sending half of cosockets, and what may be sent: strings, numbers, booleans, nil, arrays of strings and
-- numbers. Source: the ngx_lua documentation, "tcpsock:send".
local ffi = require "ffi"
local argcheck = require "server.argcheck"
local cdefs = require "server.cdefs"
local current = require "server.current"
local errno = require "server.errno"
local log = require "server.log"
local state = require "server.cosocket_state"

local error, type, tostring, select, pairs = error, type, tostring, select, pairs
local concat = table.concat

local _M = {}

-- The length of an array that may have holes. Raises when it is none; level: of the public function.
local function length_of(value, level)
    local length = 0
    for key in pairs(value) do
        if type(key) ~= "number" or key < 1 or key % 1 ~= 0 then
            argcheck.fail(level + 1, 2, "non-array table found")
        elseif key > length then
            length = key
        end
    end
    return length
end

local function flatten(value, parts, level)
    for i = 1, length_of(value, level + 1) do
        local each = value[i]
        local kind = type(each)
        if kind == "table" then
            flatten(each, parts, level + 1)
        elseif kind == "string" or kind == "number" then
            parts[#parts + 1] = each
        else
            argcheck.fail(level + 1, 2, "bad data type " .. kind .. " found")
        end
    end
end

-- What send(data) is to send, as a string. To be called by the public method itself; data is its second argument.
function _M.bytes_of(data)
    local kind = type(data)
    if kind == "string" then
        return data
    elseif kind == "table" then
        local parts = {}
        flatten(data, parts, 2)
        return concat(parts)
    elseif kind == "number" or kind == "boolean" or kind == "nil" then
        return tostring(data)
    end
    argcheck.fail(2, 2, "string, number, boolean, nil, or array table expected, got " .. kind)
end
local bytes_of = _M.bytes_of

-- Sending has failed: nothing more can be sent.
local function failed(self, err)
    self.write_closed = true
    if err == "timeout" then
        state.log_error(self, "lua tcp socket write timed out")
    elseif err ~= "closed" then
        log.err("send() failed (", errno.describe(err), ")")
    end
    return nil, err
end

local one = ffi.new("int[1]", 1)

-- What is sent goes at once, unless the settings say otherwise; set when the first bytes are sent.
local function stop_delaying(connection)
    connection.undelayed = true
    if state.settings().tcp_nodelay then
        log.debug("lua socket tcp_nodelay")
        ffi.C.setsockopt(connection.stream.fd, cdefs.IPPROTO_TCP, cdefs.TCP_NODELAY, one, 4)
    end
end

-- sock:send(data). Returns the count of bytes sent, or nil and an error text.
function _M.send(self, ...)
    local n = select("#", ...) + 1
    if n ~= 2 then
        error("expecting 2 arguments (including the object), but got " .. n, 2)
    end
    argcheck.check_table(1, 1, self, n)
    local connection = self.connection
    if not connection or self.write_closed then
        if self.dialing then
            return nil, "socket busy connecting"
        end
        return state.closed(self, "send")
    end
    state.check_request(self)
    if connection.stream.writer then
        return nil, "socket busy writing"
    end
    local data = bytes_of((...))
    if not connection.undelayed then
        stop_delaying(connection)
    end
    local seconds = self.send_timeout or state.settings().socket_send_timeout
    log.debug("lua tcp socket send timeout: ", seconds * 1000)
    local running = current.task
    running.socket = self -- so that it ends with a thread that is killed here
    local ok, err = connection.stream:send_text(data, seconds)
    running.socket = nil
    if not ok then
        return failed(self, err)
    end
    return #data
end

return _M
