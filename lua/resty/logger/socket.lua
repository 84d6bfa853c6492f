-- Owns a buffer of log messages that go to a TCP, UDP or unix socket once there are enough of them. Clean-room: the
-- functions and messages of lua-resty-logger-socket (API7's).
local concat = table.concat
local ngx = ngx
local pairs = pairs
local setmetatable = setmetatable
local tcp, udp = ngx.socket.tcp, ngx.socket.udp
local timer_at = ngx.timer.at
local tostring = tostring
local type = type
local exiting = ngx.worker.exiting

local MAX_PORT = 65535

local Logger = {}
local mt = { __index = Logger }

-- What is wrong with an option's value; nil when nothing is.
local function typed(kind, text)
    return function(value, name)
        if type(value) ~= kind then
            return '"' .. name .. '" must be a ' .. text
        end
    end
end

local function amount(value, name)
    if type(value) ~= "number" or value < 0 then
        return 'invalid "' .. name .. '"'
    end
end

local function port(value, name)
    if type(value) ~= "number" then
        return '"' .. name .. '" must be a number'
    elseif value < 0 or value > MAX_PORT then
        return '"' .. name .. '" out of range 0~' .. MAX_PORT
    end
end

local is_text, is_switch = typed("string", "string"), typed("boolean", "boolean value")

local function sock_type(value, name)
    if type(value) == "string" and value ~= "tcp" and value ~= "udp" then
        return '"' .. name .. '" must be "tcp" or "udp"'
    end
    return is_text(value, name)
end

local CHECKS = {
    host = is_text, path = is_text, sni_host = is_text, port = port, sock_type = sock_type, ssl = is_switch,
    ssl_verify = is_switch, flush_limit = amount, drop_limit = amount, timeout = amount, max_retry_times = amount,
    retry_interval = amount, pool_size = amount, max_buffer_reuse = amount, periodic_flush = amount,
}

local function open(self)
    local socket = self.sock_type == "udp" and udp() or tcp()
    socket:settimeout(self.timeout)
    local ok, err
    if self.host and self.port then
        local connect = self.sock_type == "udp" and socket.setpeername or socket.connect
        ok, err = connect(socket, self.host, self.port)
    else
        ok, err = socket:connect("unix:" .. self.path)
    end
    if ok and self.ssl then
        ok, err = socket:sslhandshake(self.session, self.sni_host or self.host, self.ssl_verify)
        self.session = ok or self.session
    end
    if not ok then
        return nil, "try to connect to the log server failed after " .. self.max_retry_times .. " retries: " .. err
    end
    return socket
end

local function send(self, text)
    local socket, err = open(self)
    if not socket then
        return nil, err
    end
    local bytes
    bytes, err = socket:send(text)
    if not bytes then
        return nil, err
    end
    if self.sock_type ~= "udp" then
        socket:setkeepalive(0, self.pool_size)
    end
    return bytes
end

local function send_stubbornly(self, text)
    local bytes, err
    for try = 0, self.max_retry_times do
        bytes, err = send(self, text)
        if bytes then
            return bytes
        elseif try < self.max_retry_times and not exiting() then
            ngx.sleep(self.retry_interval / 1000)
        end
    end
    self.last_error = "try to send log messages to the log server failed after " .. self.max_retry_times
        .. " retries: " .. err
    return nil, self.last_error
end

local function flush(self)
    if self.is_flushing or self.count == 0 then
        return true
    end
    self.is_flushing = true
    local text = concat(self.messages, "", 1, self.count)
    self.messages, self.count = {}, 0
    local bytes, err = send_stubbornly(self, text)
    self.size = self.size - #text
    self.is_flushing = false
    return bytes, err
end

local function on_timer(_, self)
    flush(self)
end

local function flush_soon(self)
    local ok, err = timer_at(0, on_timer, self)
    if not ok then
        self.last_error = err
    end
end

local function on_interval(premature, self)
    flush(self)
    if not premature then
        timer_at(self.periodic_flush, on_interval, self)
    end
end

local function add(self, message)
    self.count = self.count + 1
    self.messages[self.count] = message
    self.size = self.size + #message
end

-- Returns how many bytes of the message were taken, 0 when it is dropped; and the error of an earlier one, or nil.
-- nil, err before init().
function Logger:log(message)
    if not self.logger_initted then
        return nil, "not initialized"
    end
    message = type(message) == "string" and message or tostring(message)
    local size, taken = #message + self.size, #message
    if exiting() or size <= self.drop_limit then
        add(self, message)
    else
        taken = 0
    end
    if exiting() or size >= self.flush_limit then
        flush_soon(self)
    end
    local err = self.last_error
    self.last_error = nil
    return taken, err
end

-- Send what there is now. Waits. Returns the number of bytes, true when there is nothing to do, or nil, err.
function Logger.flush(_, self)
    return flush(self)
end

function Logger:initted()
    return self.logger_initted
end

-- options: host and port, or path; sock_type "tcp" or "udp", timeout and retry_interval (ms), flush_limit, drop_limit
-- (bytes), max_retry_times, pool_size, periodic_flush (seconds), ssl, ssl_verify, sni_host. Returns true, or nil, err.
function Logger:init(options)
    if type(options) ~= "table" then
        return nil, "user_config must be a table"
    end
    for name, value in pairs(options) do
        local check = CHECKS[name]
        local fault = check and check(value, name)
        if fault then
            return nil, fault
        elseif check then
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
        timer_at(self.periodic_flush, on_interval, self)
    end
    return true
end

local _M = { _VERSION = "0.03" }
local default -- the logger of those who make none

-- A logger; with options, ready to use. Returns it, or nil, err.
function _M.new(_, options)
    local self = setmetatable({
        flush_limit = 4096, drop_limit = 1048576, timeout = 1000, ssl = false, ssl_verify = true, sock_type = "tcp",
        max_retry_times = 3, retry_interval = 100, pool_size = 10, messages = {}, count = 0, size = 0,
        is_flushing = false, logger_initted = false,
    }, mt)
    if options then
        local ok, err = self:init(options)
        if not ok then
            return nil, err
        end
    end
    default = self
    return self
end

-- The same functions for the logger that was made last.
function _M.init(options)
    return _M.new():init(options)
end

function _M.log(message)
    if not default then
        return nil, "not initialized"
    end
    return default:log(message)
end

function _M.initted()
    return default ~= nil and default.logger_initted
end

function _M.flush()
    return default == nil or flush(default)
end

return _M
