-- Owns the module `resty.logger.socket`: messages gathered in memory and sent to a server over TCP, UDP or a unix
-- socket. Source: the documentation of lua-resty-logger-socket 0.03. Must never hold more than drop_limit bytes.
local ngx = ngx
local sleep, timer_at, exiting = ngx.sleep, ngx.timer.at, ngx.worker.exiting
local tcp, udp = ngx.socket.tcp, ngx.socket.udp
local concat = table.concat
local pairs, setmetatable, tostring, type = pairs, setmetatable, tostring, type

local MAX_PORT = 65535

-- What may be configured: the type, and, for numbers that are none of a port, that they are not below 0.
local OPTIONS = {
    host = "string", path = "string", sock_type = "string", sni_host = "string", port = "number",
    ssl = "boolean", ssl_verify = "boolean",
}
local SIZES = {
    flush_limit = true, drop_limit = true, timeout = true, max_retry_times = true, retry_interval = true,
    pool_size = true, max_buffer_reuse = true, periodic_flush = true,
}

local _M = { _VERSION = "0.03" }

local Logger = {}
Logger.__index = Logger

local shared -- the logger of the functions without one

-- Why an option cannot be so; nil when it can.
local function flaw(name, value)
    local expected = OPTIONS[name]
    if SIZES[name] then
        return (type(value) ~= "number" or value < 0) and 'invalid "' .. name .. '"' or nil
    elseif expected and type(value) ~= expected then
        return '"' .. name .. '" must be a ' .. (expected == "boolean" and "boolean value" or expected)
    elseif name == "port" and (value < 0 or value > MAX_PORT) then
        return '"port" out of range 0~' .. MAX_PORT
    elseif name == "sock_type" and value ~= "tcp" and value ~= "udp" then
        return '"sock_type" must be "tcp" or "udp"'
    end
end

local function connect(self)
    local sock = self.sock_type == "udp" and udp() or tcp()
    sock:settimeout(self.timeout)
    local ok, err
    if not (self.host and self.port) then
        ok, err = sock:connect("unix:" .. self.path)
    elseif self.sock_type == "udp" then
        ok, err = sock:setpeername(self.host, self.port)
    else
        ok, err = sock:connect(self.host, self.port)
    end
    if ok and self.ssl then
        ok, err = sock:sslhandshake(self.ssl_session, self.sni_host or self.host, self.ssl_verify)
        self.ssl_session = ok
    end
    return ok and sock, err
end

-- Call attempt(self, …) until it returns something, at most max_retry_times more. Returns that, or nil and an error.
local function try(self, attempt, what, ...)
    local err
    for _ = 0, self.max_retry_times do
        local result
        result, err = attempt(self, ...)
        if result then
            return result
        elseif not self.exiting then
            sleep(self.retry_interval / 1000)
        end
    end
    return nil, what .. " failed after " .. self.max_retry_times .. " retries: " .. tostring(err)
end

local function send(self, packet)
    local sock, err = try(self, connect, "try to connect to the log server")
    if not sock then
        return nil, err
    end
    local sent
    sent, err = sock:send(packet)
    if sent and self.sock_type ~= "udp" then
        local ok, why = sock:setkeepalive(0, self.pool_size)
        if not ok then
            return nil, why
        end
    end
    return sent, err
end

-- Send what has been gathered. Returns bytes; true when there is nothing to do, or another is at it; or nothing.
function Logger:flush()
    if self.flushing or self.size == 0 then
        return true
    end
    self.flushing = true
    local packet = concat(self.messages)
    self.messages, self.count = {}, 0
    local sent, err = try(self, send, "try to send log messages to the log server", packet)
    self.flushing = false
    self.size = self.size - #packet
    if not sent then
        self.last_error = err
    end
    return sent
end

local function flush_soon(self)
    self.regular = true
    local ok, err = timer_at(0, function() self:flush() end)
    if not ok then
        self.last_error = err
    end
end

local function flush_periodically(premature, self)
    self.exiting = premature or self.exiting
    if self.exiting or not self.regular then
        self:flush()
    end
    self.regular = false
    if not premature then
        timer_at(self.periodic_flush, flush_periodically, self)
    end
end

-- Configure a logger; options: see the documentation mirrored. Returns true, or nil and an error text.
function Logger:init(options)
    if type(options) ~= "table" then
        return nil, "user_config must be a table"
    end
    for name, value in pairs(options) do
        local why = flaw(name, value)
        if why then
            return nil, why
        elseif OPTIONS[name] or SIZES[name] then
            self[name] = value
        end
    end
    if not (self.host and self.port) and not self.path then
        return nil, 'no logging server configured. "host"/"port" or "path" is required.'
    elseif self.flush_limit >= self.drop_limit then
        return nil, '"flush_limit" should be < "drop_limit"'
    end
    self.logger_initted = true
    if self.periodic_flush then
        timer_at(self.periodic_flush, flush_periodically, self)
    end
    return true
end

local function keep(self, message)
    self.count = self.count + 1
    self.messages[self.count] = message
    self.size = self.size + #message
end

-- Gather a message. Returns how many bytes were taken (0: it is dropped, or sent at once as the worker exits), and why
-- an earlier one could not be sent; or nil and an error text.
function Logger:log(message)
    if not self.logger_initted then
        return nil, "not initialized"
    end
    message = tostring(message)
    local size, bytes = self.size + #message, #message
    if exiting() then
        self.exiting = true
        keep(self, message)
        flush_soon(self)
        bytes = 0
    elseif size < self.flush_limit then
        keep(self, message)
    else
        if size <= self.drop_limit then
            keep(self, message)
        else
            bytes = 0
        end
        flush_soon(self)
    end
    local err = self.last_error
    self.last_error = nil
    return bytes, err
end

function Logger:initted()
    return self.logger_initted
end

-- A logger; options: configure it. Returns it, or nil and an error text.
function _M.new(_, options)
    local self = setmetatable({
        flush_limit = 4096, drop_limit = 1048576, timeout = 1000, ssl = false, ssl_verify = true, sock_type = "tcp",
        max_retry_times = 3, retry_interval = 100, pool_size = 10, messages = {}, count = 0, size = 0,
    }, Logger)
    if options then
        local ok, err = self:init(options)
        if not ok then
            return nil, err
        end
    end
    shared = self
    return self
end

-- The same of the worker's logger, the one made last.
function _M.init(options)
    return _M.new():init(options)
end

function _M.log(message)
    if not shared then
        return nil, "not initialized"
    end
    return shared:log(message)
end

function _M.initted()
    return shared and shared.logger_initted
end

function _M.flush()
    return shared and shared:flush()
end

return _M
