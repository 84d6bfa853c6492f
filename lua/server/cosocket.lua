-- Owns cosockets: sockets of user code that look blocking and are not. They work in every phase.
-- Source: the ngx_lua documentation, "ngx.socket.tcp".
local ffi = require "ffi"
local bridge = require "server.bridge"
local address = require "server.address"
local connect = require "server.connect"
local current = require "server.current"
local inputs = require "server.http.input"
local log = require "server.log"
local pools = require "server.socket_pool"
local reading = require "server.cosocket_reading"
local settings = require "server.settings"

local cast = ffi.cast
local error, type, tostring, tonumber = error, type, tostring, tonumber
local ipairs, pairs, setmetatable = ipairs, pairs, setmetatable
local concat, find = table.concat, string.find

local Socket = {}
Socket.__index = Socket

local _M = {}

-- A new TCP (or unix stream) socket.
function _M.tcp()
    if not current.task then
        error("API disabled in the context of " .. require("server.phases").global .. "_by_lua*", 2)
    end
    return setmetatable({
        connect_timeout = settings.socket_connect_timeout,
        send_timeout = settings.socket_send_timeout,
        read_timeout = settings.socket_read_timeout,
        connection = nil,
    }, Socket)
end

local function seconds(milliseconds, default)
    milliseconds = tonumber(milliseconds) or 0
    if milliseconds < 0 then
        error("bad timeout value", 4)
    elseif milliseconds == 0 then
        return default
    end
    return milliseconds / 1000
end

local function set_timeouts(self, connecting, sending, receiving)
    self.connect_timeout = seconds(connecting, settings.socket_connect_timeout)
    self.send_timeout = seconds(sending, settings.socket_send_timeout)
    self.read_timeout = seconds(receiving, settings.socket_read_timeout)
end

-- Milliseconds, for all three operations; 0 or nil: the default.
function Socket:settimeout(milliseconds)
    set_timeouts(self, milliseconds, milliseconds, milliseconds)
end

function Socket:settimeouts(connecting, sending, receiving)
    set_timeouts(self, connecting, sending, receiving)
end

-- Why the socket cannot be used now: another light thread is at it.
local function busy(self)
    if self.claim or self.place then
        return "socket busy connecting"
    end
    local stream = self.connection and self.connection.stream
    return stream and (stream.reader and "socket busy reading" or stream.writer and "socket busy writing")
end

-- The request's end closes what its code left open.
local function register(self)
    local r = current.request
    if r then
        r.sockets = r.sockets or {}
        r.sockets[self] = true
        self.request = r
    end
end

local function unregister(self)
    local r = self.request
    if r and r.sockets then
        r.sockets[self] = nil
    end
end

local function resolve(host)
    if address.parse(host, 0) then
        return host
    end
    local found, err = bridge.await.resolve(host, "A")
    if found and found[1] then
        return found[1]
    end
    local temporary = err and find(err, "temporary", 1, true)
    return nil, host .. " could not be resolved (" .. (temporary and "2: Server failure" or "3: Host not found") .. ")"
end

local function options_of(host, port, options)
    if type(options) ~= "table" then
        options = {}
    end
    local size, backlog = options.pool_size, options.backlog
    if size and (type(size) ~= "number" or size <= 0) then
        error("bad \"pool_size\" option value: " .. tostring(size), 3)
    end
    if backlog and (type(backlog) ~= "number" or backlog < 0) then
        error("bad \"backlog\" option value: " .. tostring(backlog), 3)
    end
    local key = options.pool or (port and host .. ":" .. port or host)
    return tostring(key), size or settings.socket_pool_size, backlog
end

local function fail_connect(self, pool, err)
    self.claim = nil
    unregister(self)
    pool:closed()
    return nil, err
end

-- Make the connection that pool granted. Returns 1, or nil and an error text.
local function open(self, pool, host, port)
    self.claim = pool
    local ip, err = resolve(host)
    if not ip then
        return fail_connect(self, pool, err)
    end
    local stream
    stream, err = connect(ip, port or 0, self.connect_timeout)
    if not stream then
        local what = err == "timeout" and "lua tcp socket connect timed out" or "connect() failed (" .. err .. ")"
        log.err(what, ", when connecting to ", self.peer)
        return fail_connect(self, pool, err)
    end
    self.claim = nil
    self.connection = setmetatable({ stream = stream, input = inputs.new(stream), reused = 0 }, pools.Connection)
    return 1
end

-- Connect to host:port, or to "unix:/path". options: {pool, pool_size, backlog}.
-- Returns 1, or nil and an error text.
function Socket:connect(host, port, options)
    if type(host) ~= "string" then
        error("bad argument #1 to 'connect' (string expected, got " .. type(host) .. ")", 2)
    end
    if host:sub(1, 5) == "unix:" then
        options, port = port, nil
    else
        port = tonumber(port)
        if not port then
            return nil, "missing the port number"
        elseif port < 0 or port > 65535 then
            return nil, "bad port number: " .. port
        end
    end
    local why = busy(self)
    if why then
        return nil, why
    end
    if self.connection then
        self:close()
    end
    local key, size, backlog = options_of(host, port, options)
    local pool = pools.get(key, size, backlog)
    register(self)
    local granted, err = pool:acquire(self, self.connect_timeout)
    if not granted then
        unregister(self)
        return nil, err
    end
    self.pool, self.peer = pool, port and host .. ":" .. port or host
    if granted == true then
        return open(self, pool, host, port)
    end
    granted.reused = granted.reused + 1
    self.connection = granted
    return 1
end

local function flatten(value, parts)
    local kind = type(value)
    if kind == "table" then
        for _, each in ipairs(value) do
            flatten(each, parts)
        end
    elseif kind == "string" or kind == "number" or kind == "boolean" or kind == "nil" then
        parts[#parts + 1] = tostring(value)
    else
        error("bad argument #1 to 'send' (string, number, boolean, nil, or array table expected, got "
            .. kind .. ")", 4)
    end
    return parts
end

-- data: a string, number, boolean, nil, or a table of them. Returns the count of bytes, or nil and an error text.
function Socket:send(data)
    if type(data) ~= "string" then
        data = concat(flatten(data, {}))
    end
    local connection = self.connection
    if not connection then
        return nil, self.claim and "socket busy connecting" or "closed"
    elseif connection.stream.writer then
        return nil, "socket busy writing"
    end
    local ok, err = connection.stream:send(cast("const uint8_t *", data), #data, self.send_timeout)
    if not ok then
        if err == "timeout" then
            log.err("lua tcp socket write timed out")
        elseif err == "broken pipe" then
            err = "closed"
        end
        self:close()
        return nil, err
    end
    return #data
end

Socket.receive = reading.receive
Socket.receiveany = reading.receiveany
Socket.receiveuntil = reading.receiveuntil

-- How often the connection came out of the pool before.
function Socket:getreusedtimes()
    local connection = self.connection
    if not connection then
        return nil, "closed"
    end
    return connection.reused
end

-- Give the connection to the pool. milliseconds: how long it may be idle (0: no bound; 60 s).
-- Returns 1, or nil and an error text.
function Socket:setkeepalive(milliseconds, size)
    local connection, why = self.connection, busy(self)
    if why or not connection then
        return nil, why or "closed"
    end
    why = connection:unfit()
    if why then
        self:close()
        return nil, why
    end
    self.connection = nil
    unregister(self)
    local pool = self.pool
    if size and size > 0 and not pool.backlog and pool.size ~= size and #pool.idle == 0 then
        pool.size = size
    end
    pool:put(connection, milliseconds == 0 and 1e9 or seconds(milliseconds, settings.socket_keepalive_timeout))
    return 1
end

local function close(self)
    local connection = self.connection
    self.connection = nil
    unregister(self)
    connection.input:clear()
    connection.stream:close()
    self.pool:closed()
    return 1
end

-- Returns 1, or nil and "closed" or why it cannot be closed now.
function Socket:close()
    local why = busy(self)
    if why or not self.connection then
        return nil, why or "closed"
    end
    return close(self)
end

-- Close what the code of a request (or timer) r left open or was doing when it was ended.
function _M.close_all(r)
    local sockets = r.sockets
    r.sockets = nil
    for self in pairs(sockets or {}) do
        if self.connection then
            close(self)
        elseif self.place then
            self.place:release()
        elseif self.claim then
            self.claim:closed()
        end
        self.place, self.claim = nil, nil
    end
end

return _M
