-- Owns what all halves of a cosocket share: whose it is, whether it is in use, how long it may wait, and the
-- words of its log lines. A cosocket: {connection, request, owner, read_closed, write_closed, place (in a pool's
-- queue), claim (on a pool, while it connects), dialing (from the address on), key, peer, address, matcher}.
local current = require "server.current"
local log = require "server.log"
local worker_settings = require "server.settings"

local error, tostring = error, tostring

local _M = {}

-- The settings in force: of the request's location, else of the worker.
local function settings()
    local r = current.request
    return r and r.settings or worker_settings
end
_M.settings = settings

-- What a socket belongs to whose request is over: nobody's request.
_M.OVER = {}

-- Raise unless the running request is the one that opened the socket.
function _M.check_request(self)
    if self.request ~= current.request then
        error("bad request", 3)
    end
end

-- What a socket without a connection is, to whoever wants to use one.
function _M.absent(self)
    return self.dialing and "socket busy connecting" or "closed"
end

-- Whether reading or writing (each as asked for) is under way. Returns the error text or nil.
function _M.busy(self, reading, writing)
    local stream = self.connection.stream
    return reading and stream.reader and "socket busy reading" or writing and stream.writer and "socket busy writing"
        or nil
end

-- The peer as it stands in log lines: the host and port asked for, and the address behind them.
function _M.upstream(self)
    local peer = self.peer
    return peer and ", upstream: " .. peer .. (self.address and "(" .. self.address .. ")" or "") or ""
end

-- Log an error of the socket, unless socket_log_errors is off.
function _M.log_error(self, message)
    if settings().socket_log_errors then
        log.err(message, _M.upstream(self))
    end
end

-- Log the use of a closed socket and return nil, "closed". verb: "send" or "receive".
function _M.closed(self, verb)
    if settings().socket_log_errors then
        local connection = self.connection
        local u = (self.peer or connection) and tostring(self) or "nil"
        local c = connection and tostring(connection) or "nil"
        log.err("attempt to ", verb, " data on a closed socket: u:", u, ", c:", c, ", ft:0 eof:0")
    end
    return nil, "closed"
end

return _M
