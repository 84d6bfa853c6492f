-- Owns the client of redis over cosockets (API and texts of openresty/lua-resty-redis 0.32): every command is
-- a method. One object is one connection: never to be shared between requests.
local protocol = require "resty.redis.protocol"
local pubsub = require "resty.redis.pubsub"

local tcp = ngx.socket.tcp
local error = error
local ipairs = ipairs
local pairs = pairs
local rawget = rawget
local select = select
local setmetatable = setmetatable
local sub = string.sub
local tonumber = tonumber
local type = type
local unpack = unpack

local _M = { _VERSION = "0.32" }
local metatable = { __index = _M }

-- Returns a client, not connected, or nil, err. Also called as a method of this module.
function _M.new()
    local sock, err = tcp()
    if not sock then
        return nil, err
    end
    return setmetatable({
        _sock = sock,
        _subscribed = false,
        _channels = { unsubscribe = 0, punsubscribe = 0 }, -- how many are subscribed to, of each kind
    }, metatable)
end

-- Milliseconds, for connecting, sending and receiving alike.
function _M:set_timeout(milliseconds)
    self._sock:settimeout(milliseconds)
end

-- Milliseconds.
function _M:set_timeouts(connecting, sending, receiving)
    self._sock:settimeouts(connecting, sending, receiving)
end

local function bad_argument(argument, expected, value)
    error("bad argument #" .. argument .. ": " .. expected .. " expected, got " .. type(value), 3)
end

local function handshake(sock, opts)
    if not sock.sslhandshake then
        return nil, "failed to do ssl handshake: cosockets do not speak TLS"
    end
    local ok, err = sock:sslhandshake(false, opts.server_name, opts.ssl_verify)
    if not ok then
        return ok, "failed to do ssl handshake: " .. err
    end
    return ok
end

-- connect(host, port, opts) or connect("unix:/path", opts). opts: those of the cosocket (pool, pool_size,
-- backlog), ssl, ssl_verify, server_name. Returns a true value, or nil, err. Raises for wrong types.
function _M:connect(host, port, opts)
    if type(host) ~= "string" then
        bad_argument("1 host", "string", host)
    end
    local is_unix = sub(host, 1, 5) == "unix:"
    if is_unix then
        opts = port
    elseif not tonumber(port) then
        bad_argument("2 port", "number", port)
    end
    if opts ~= nil and type(opts) ~= "table" then
        bad_argument(is_unix and "2 opts" or "3 opts", "nil or table", opts)
    end
    local sock = rawget(self, "_sock")
    if not sock then
        return nil, "not initialized"
    end
    self._subscribed = false
    local ok, err
    if is_unix then
        ok, err = sock:connect(host, opts)
    else
        ok, err = sock:connect(host, tonumber(port), opts)
    end
    if not ok then
        return ok, err
    end
    if opts and opts.ssl then
        return handshake(sock, opts)
    end
    return ok
end

-- Give the connection to the pool: milliseconds that it may be idle, size of the pool. Returns 1, or nil, err.
function _M:set_keepalive(...)
    if self._subscribed then
        return nil, "subscribed state"
    end
    return self._sock:setkeepalive(...)
end

function _M:get_reused_times()
    return self._sock:getreusedtimes()
end

function _M:close()
    return self._sock:close()
end

-- One reply. Who waits for messages, or in a blocking command, may find that none has come and wait on;
-- anything else that is late would be taken for the answer to the next command.
local function read(self)
    local value, err, broken = protocol.read(self._sock)
    if value == nil and (broken or err == "timeout" and not self._subscribed and not rawget(self, "_blocking")) then
        self._sock:close()
    end
    return value, err
end

local function is_message(self, reply)
    return self._subscribed and type(reply) == "table" and (reply[1] == "message" or reply[1] == "pmessage")
end

-- Send a command. Returns its reply, or nothing when it was put into the pipeline.
local function run(self, ...)
    local sock = rawget(self, "_sock")
    if not sock then
        return nil, "not initialized"
    end
    local pipeline = rawget(self, "_pipeline")
    if pipeline then
        protocol.encode(pipeline, ...)
        self._pipelined = self._pipelined + 1
        return nil
    end
    local request = {}
    protocol.encode(request, ...)
    local sent, err = sock:send(request)
    if not sent then
        return nil, err
    end
    local reply
    reply, err = read(self)
    while is_message(self, reply) do -- it came in between; read_reply will hand it out
        local messages = rawget(self, "_messages") or {}
        self._messages = messages
        messages[#messages + 1] = reply
        reply, err = read(self)
    end
    return reply, err
end

local function run_prefixed(self, command, ...)
    local prefix = rawget(self, "_module_prefix")
    if prefix then
        self._module_prefix = nil
        command = prefix .. "." .. command
    end
    return run(self, command, ...)
end

pubsub(_M, run, read)

for _, command in ipairs({ "blpop", "brpop" }) do
    _M[command] = function(self, ...)
        self._blocking = true
        return run_prefixed(self, command, ...)
    end
end

-- hmset(key, field, value, …) or hmset(key, {field = value, …})
function _M:hmset(key, ...)
    local fields = ...
    if select("#", ...) ~= 1 or type(fields) ~= "table" then
        return run(self, "hmset", key, ...)
    end
    local flat = {}
    for field, value in pairs(fields) do
        flat[#flat + 1] = field
        flat[#flat + 1] = value
    end
    return run(self, "hmset", key, unpack(flat))
end

-- Commands are kept from here on until commit_pipeline(); those already kept are forgotten.
function _M:init_pipeline()
    self._pipeline, self._pipelined = {}, 0
end

function _M:cancel_pipeline()
    self._pipeline = nil
end

-- Send the kept commands. Returns their replies (an error of redis is {false, text}), or nil, err.
function _M:commit_pipeline()
    local pipeline = rawget(self, "_pipeline")
    if not pipeline then
        return nil, "no pipeline"
    end
    self._pipeline = nil
    local sent, err = self._sock:send(pipeline)
    if not sent then
        return nil, err
    end
    local replies = {}
    for i = 1, self._pipelined do
        local reply, failure = read(self)
        if reply == nil then
            self._sock:close() -- what is still to come would be taken for other answers
            return nil, failure
        end
        replies[i] = reply or { false, failure }
    end
    return replies
end

-- {name, value, name, value, …} -> {name = value, …}
function _M:array_to_hash(array)
    local hash = {}
    for i = 1, #array, 2 do
        hash[array[i]] = array[i + 1]
    end
    return hash
end

-- Have red:prefix():command() send "prefix.command", as the commands of redis modules are called.
function _M.register_module_prefix(prefix)
    _M[prefix] = function(self)
        self._module_prefix = prefix
        return self
    end
end

local function method_of(command)
    local function method(self, ...)
        return run_prefixed(self, command, ...)
    end
    _M[command] = method
    return method
end

-- For callers older than the generation of methods: nothing depends on it.
function _M.add_commands(...)
    for i = 1, select("#", ...) do
        method_of((select(i, ...)))
    end
end

return setmetatable(_M, {
    __index = function(_, command)
        return method_of(command)
    end,
})
