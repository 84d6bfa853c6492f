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
local error, type, tostring, tonumber, ipairs, setmetatable = error, type, tostring, tonumber, ipairs, setmetatable
local concat = table.concat

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
    milliseconds = tonumber(milliseconds)
    if not milliseconds or milliseconds <= 0 then
        return default
    end
    return milliseconds / 1000
end

-- Milliseconds, for all three operations.
function Socket:settimeout(milliseconds)
    return self:settimeouts(milliseconds, milliseconds, milliseconds)
end

function Socket:settimeouts(connecting, sending, receiving)
    self.connect_timeout = seconds(connecting, settings.socket_connect_timeout)
    self.send_timeout = seconds(sending, settings.socket_send_timeout)
    self.read_timeout = seconds(receiving, settings.socket_read_timeout)
end

local function resolve(host)
    if address.parse(host, 0) then
        return host
    end
    local found, err = bridge.await.resolve(host, "A")
    if found and found[1] then
        return found[1]
    end
    return nil, host .. " could not be resolved (" .. tostring(err or "3: Host not found") .. ")"
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
    pool:closed()
    if err == "timeout" then
        log.err("lua tcp socket connect timed out, when connecting to ", self.peer)
    end
    return nil, err
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
        local number = tonumber(port)
        if not number or number < 0 or number > 65535 then
            error("bad port number: " .. tostring(port), 2)
        end
        port = number
    end
    if self.connection then
        self:close()
    end
    local key, size, backlog = options_of(host, port, options)
    local pool = pools.get(key, size, backlog)
    local ok, err = pool:wait_for_place(current.task, self.connect_timeout)
    if not ok then
        return nil, err
    end
    self.pool, self.peer = pool, port and host .. ":" .. port or host
    local connection = pool:take()
    if connection then
        connection.reused = connection.reused + 1
        self.connection = connection
        return 1
    end
    pool.open = pool.open + 1
    local ip, stream
    ip, err = resolve(host)
    if not ip then
        return fail_connect(self, pool, err)
    end
    stream, err = connect(ip, port or 0, self.connect_timeout)
    if not stream then
        return fail_connect(self, pool, err)
    end
    self.connection = setmetatable({ stream = stream, input = inputs.new(stream), reused = 0 }, pools.Connection)
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
        return nil, "closed"
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
    local connection = self.connection
    if not connection then
        return nil, "closed"
    end
    if connection.input.buffer then
        self:close()
        return nil, "unread data in buffer"
    end
    if connection.stream.hangup then
        self:close()
        return nil, "connection in dubious state"
    end
    self.connection = nil
    local pool = self.pool
    if size and size > 0 and not pool.backlog and pool.size ~= size and #pool.idle == 0 then
        pool.size = size
    end
    local idle = milliseconds == 0 and 1e9 or seconds(milliseconds, settings.socket_keepalive_timeout)
    pool:put(connection, idle)
    return 1
end

-- Returns 1, or nil and "closed".
function Socket:close()
    local connection = self.connection
    if not connection then
        return nil, "closed"
    end
    self.connection = nil
    connection.input:clear()
    connection.stream:close()
    self.pool:closed()
    return 1
end

return _M
