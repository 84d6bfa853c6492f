-- Owns the way of a cosocket to its connection: bind, connect, the pool it comes from.
-- Source: the ngx_lua documentation, "tcpsock:connect" and "tcpsock:bind".
local address = require "server.address"
local argcheck = require "server.argcheck"
local errno = require "server.errno"
local closing = require "server.cosocket_closing"
local connect = require "server.connect"
local current = require "server.current"
local inputs = require "server.http.input"
local log = require "server.log"
local pools = require "server.socket_pool"
local resolving = require "server.resolving"
local state = require "server.cosocket_state"

local error, type, tonumber = error, type, tonumber
local select, setmetatable = select, setmetatable
local sub, format = string.sub, string.format

local _M = {}

-- What holds no place in a pool: a connection that no pool counts.
local NO_POOL = { closed = function() end }

local function positive(options, name, index, least)
    local value = options[name]
    if value == nil then
        return nil
    end
    local number = tonumber(value)
    if not number then
        return name == "pool_size"
            and argcheck.fail(3, index, 'bad "pool_size" option type: ' .. type(value)) or nil
    elseif number < least then
        argcheck.fail(3, index, format('bad "%s" option value: %d', name, number))
    end
    return number - number % 1
end

-- What the options table, argument `index` of connect, says. Returns the pool's name, its size and its backlog.
local function read_options(options, index)
    local size = positive(options, "pool_size", index, 1)
    local backlog = positive(options, "backlog", index, 0)
    local name = options.pool
    local kind = type(name)
    if kind == "number" then
        name = name .. ""
    elseif name ~= nil and kind ~= "string" then
        argcheck.fail(2, index, 'bad "pool" option type: ' .. kind)
    end
    if backlog and not size then
        size = state.settings().socket_pool_size
    end
    return name, size, backlog
end

local function fail_connect(self, pool, err)
    self.claim, self.dialing = nil, false
    closing.unregister(self)
    pool:closed()
    return nil, err
end

-- What nginx takes for the peer's trouble, and not for one of this host.
local COMMON = {
    ["connection refused"] = true, ["connection reset by peer"] = true, ["network is down"] = true,
    ["network is unreachable"] = true, ["host is down"] = true, ["no route to host"] = true,
    ["resource temporarily unavailable"] = true,
}

-- Log why a connection could not be made.
local function report(self, err, at_once)
    if err == "timeout" then
        state.log_error(self, "lua tcp socket connect timed out")
    elseif at_once then
        local write = COMMON[err] and log.err or log.crit
        write("connect() to ", self.peer, " failed (", errno.describe(err), ")", state.upstream(self))
    elseif err ~= "closed" and state.settings().socket_log_errors then
        log.err("connect() failed (", errno.describe(err), ")")
    end
end

-- Make the connection, which pool has granted. Returns 1, or nil and an error text.
local function open(self, pool, host, port)
    local settings = state.settings()
    self.claim = pool
    local ip, target = resolving.resolve(host, port or 0, settings)
    if not ip then
        return fail_connect(self, pool, target)
    end
    self.address, self.dialing = ip, true
    local seconds = self.connect_timeout or settings.socket_connect_timeout
    log.debug("lua tcp socket connect timeout: ", seconds * 1000)
    local stream, why, at_once = connect(ip, target, seconds, self.local_address, true)
    if not stream then
        report(self, why, at_once)
        return fail_connect(self, pool, why)
    end
    self.claim, self.dialing = nil, false
    self.connection = setmetatable({
        stream = stream, input = inputs.new(stream), reused = 0, address = ip,
        undelayed = sub(ip, 1, 5) == "unix:", pool = pool ~= NO_POOL and pool or nil,
    }, pools.Connection)
    return 1
end

-- The pool for a connection to key, when there is one or is to be one.
local function pool_of(key, size, backlog)
    return pools.get(key) or size and pools.create(key, size, backlog) or nil
end

local function establish(self, key, size, backlog, host, port)
    local pool = pool_of(key, size, backlog)
    self.read_closed, self.write_closed, self.dialing, self.matcher = false, false, false, nil
    self.key, self.peer, self.address = key, port and host .. ":" .. port or host, nil
    closing.register(self)
    if not pool then
        return open(self, NO_POOL, host, port)
    end
    local seconds = self.connect_timeout or state.settings().socket_connect_timeout
    local granted, err = pool:acquire(self, seconds)
    if granted == true then
        return open(self, pool, host, port)
    elseif granted then
        self.connection, self.address = granted, granted.address
        return 1
    end
    if err == "timeout" and state.settings().socket_log_errors then
        log.err("lua tcp socket queued connect timed out, when trying to connect to ", host, ":", port or 0)
    end
    closing.unregister(self)
    return nil, err
end

-- Free the socket of the connection it has. Returns true, or nil and why it cannot be.
local function make_ready(self)
    if not self.used then
        self.used = true
        return true
    elseif self.request ~= current.request then
        error("bad request", 3)
    elseif self.claim or self.place then
        return nil, "socket busy connecting"
    elseif self.connection then
        local why = state.busy(self, true, true)
        if why then
            return nil, why
        end
        log.debug("lua tcp socket reconnect without shutting down")
        closing.finalize(self)
    end
    log.debug("lua reuse socket upstream ctx")
    return true
end

-- sock:connect(host, port, options?) or sock:connect("unix:/path", options?). options: {pool = name,
-- pool_size = count, backlog = count}. Returns 1, or nil and an error text.
function _M.connect(self, ...)
    local n = select("#", ...) + 1
    if n < 2 or n > 4 then
        error("ngx.socket connect: expecting 2, 3, or 4 arguments (including the object), but seen " .. n, 2)
    end
    argcheck.check_table(1, 1, self, n)
    local host, port, options = ...
    host = argcheck.check_string(1, 2, host, n)
    if type(options) ~= "table" then
        options = n == 3 and type(port) == "table" and port or nil
    end
    local key, size, backlog
    if options then
        key, size, backlog = read_options(options, n)
    end
    port = tonumber(port)
    if port then
        port = port - port % 1
        if port < 0 or port > 65535 then
            return nil, "bad port number: " .. port
        end
    elseif sub(host, 1, 5) ~= "unix:" then
        return nil, "missing the port number"
    end
    local ready, why = make_ready(self)
    if not ready then
        return nil, why
    end
    local running = current.task
    running.socket = self
    local ok, err = establish(self, key or (port and host .. ":" .. port or host), size, backlog, host, port)
    running.socket = nil
    if not ok then
        return nil, err
    end
    return 1
end

-- sock:bind(address, port?): connections are to originate from that IP address (and port). Returns true, or nil and an
-- error text.
function _M.bind(self, ...)
    local n = select("#", ...) + 1
    if n ~= 2 and n ~= 3 then
        error("expecting 2 or 3 arguments, but got " .. n, 2)
    end
    argcheck.check_table(1, 1, self, n)
    local host, port = ...
    if n == 3 then
        if not tonumber(port) then
            return nil, "expecting port to be anumber but got type: " .. type(port) -- sic
        elseif tonumber(port) < 0 or tonumber(port) > 65535 then
            return nil, "bad port number: " .. port
        end
    end
    host = argcheck.check_string(1, 2, host, n)
    if sub(host, 1, 5) == "unix:" or sub(host, 1, 1) == "[" or not address.parse(host, 0) then
        return nil, "bad address"
    end
    self.local_address = { host = host, port = tonumber(port) or 0 }
    log.debug("lua tcp socket bind ip: ", host)
    return true
end

return _M
