-- Owns the client of memcached over cosockets (its text protocol), and pipelines of commands.
-- Source: the documentation of lua-resty-memcached 0.17; memcached's protocol.txt.
local replies = require "resty.memcached.replies"

local concat, insert = table.concat, table.insert
local ipairs, rawget, setmetatable, type = ipairs, rawget, setmetatable, type

local _M = { _VERSION = "0.17" }
local mt = { __index = _M }

-- A client that is not connected. options: {key_transform = {escape, unescape}: functions from key to key, for
-- what memcached allows in none}. Returns it, or nil and an error text.
function _M.new(_, options)
    local transform = options and options.key_transform or { ngx.escape_uri, ngx.unescape_uri }
    if not transform[1] or not transform[2] then
        return nil, "expecting key_transform = { escape, unescape } table"
    end
    return setmetatable({ sock = ngx.socket.tcp(), escape_key = transform[1], unescape_key = transform[2] }, mt)
end

-- The methods that are the socket's own, by their names there.
local SOCKET_METHODS = {
    connect = "connect", sslhandshake = "sslhandshake", set_keepalive = "setkeepalive",
    get_reused_times = "getreusedtimes", close = "close",
}

for name, method in pairs(SOCKET_METHODS) do
    _M[name] = function(self, ...)
        local sock = self.sock
        if not sock then
            return nil, "not initialized"
        end
        return sock[method](sock, ...)
    end
end

-- Milliseconds for connecting, sending, receiving. Returns 1, or nil and "not initialized".
function _M.set_timeouts(self, connecting, sending, receiving)
    if not self.sock then
        return nil, "not initialized"
    end
    self.sock:settimeouts(connecting, sending, receiving)
    return 1
end

function _M.set_timeout(self, milliseconds)
    return _M.set_timeouts(self, milliseconds, milliseconds, milliseconds)
end

-- Send a command, or put it into the pipeline. request: an array of fragments; read(sock, self) reads the answer.
-- Returns what read returns, 1 for what is in the pipeline, or nil and an error text.
local function run(self, request, read)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    local pipeline = rawget(self, "_pipeline")
    if pipeline then
        insert(pipeline.requests, request)
        insert(pipeline.readers, read)
        return 1
    end
    local sent, err = sock:send(request)
    if not sent then
        return nil, err
    end
    return read(sock, self)
end

local function get_many(self, command, keys)
    if not self.sock then
        return nil, "not initialized"
    elseif #keys == 0 then
        return {}, nil
    end
    local request = { command }
    for _, key in ipairs(keys) do
        insert(request, " ")
        insert(request, self.escape_key(key))
    end
    insert(request, "\r\n")
    return run(self, request, replies.many)
end

-- The value of a key. Returns it and its flags; three nils when there is none; nil, nil and an error text.
-- For an array of keys: a table of key -> {value, flags}, or nil and an error text.
function _M.get(self, key)
    if type(key) == "table" then
        return get_many(self, "get", key)
    end
    local data, flags, err = run(self, { "get ", self.escape_key(key), "\r\n" }, replies.get)
    if not data and not err then
        return nil, nil, flags -- where nothing was sent, the error is second
    end
    return data, flags, err
end

-- The same with the number that cas wants: value, flags and that; for keys, key -> {value, flags, number}. The
-- error text is fourth, for keys second.
function _M.gets(self, key)
    if type(key) == "table" then
        return get_many(self, "gets", key)
    end
    local data, flags, cas, err = run(self, { "gets ", self.escape_key(key), "\r\n" }, replies.gets)
    if not data and not err then
        return nil, nil, nil, flags
    end
    return data, flags, cas, err
end

local function flatten(value, parts)
    for _, each in ipairs(value) do
        if type(each) == "table" then
            flatten(each, parts)
        else
            insert(parts, each)
        end
    end
    return parts
end

local function store(self, command, key, value, exptime, flags, cas)
    if type(value) == "table" then
        value = concat(flatten(value, {}))
    else
        value = value .. ""
    end
    return run(self, {
        command, " ", self.escape_key(key), " ", flags or 0, " ", exptime or 0, " ", #value, cas and " " or "",
        cas or "", "\r\n", value, "\r\n",
    }, replies.stored)
end

-- set(key, value, exptime?, flags?), and add, replace, append, prepend of the same shape. value: a string or a nested
-- array of strings; exptime: seconds (0: for ever). Returns 1, or nil and an error text ("NOT_STORED", …).
for _, command in ipairs({ "set", "add", "replace", "append", "prepend" }) do
    _M[command] = function(self, key, value, exptime, flags)
        return store(self, command, key, value, exptime, flags)
    end
end

-- Set the value if it is still the one that gets gave with that number. Returns 1, or nil and "EXISTS", ….
function _M.cas(self, key, value, cas_unique, exptime, flags)
    return store(self, "cas", key, value, exptime, flags, cas_unique)
end

-- Returns 1, or nil and an error text ("NOT_FOUND", …).
function _M.delete(self, key)
    return run(self, { "delete ", self.escape_key(key), "\r\n" }, replies.deleted)
end

-- exptime: seconds. Returns 1, or nil and an error text.
function _M.touch(self, key, exptime)
    return run(self, { "touch ", self.escape_key(key), " ", exptime, "\r\n" }, replies.touched)
end

-- delay: seconds until all is forgotten. Returns 1, or nil and an error text.
function _M.flush_all(self, delay)
    return run(self, delay and { "flush_all ", delay, "\r\n" } or { "flush_all\r\n" }, replies.ok)
end

function _M.verbosity(self, level)
    return run(self, { "verbosity ", level, "\r\n" }, replies.ok)
end

-- Returns the new value (a string), or nil and an error text.
function _M.incr(self, key, delta)
    return run(self, { "incr ", self.escape_key(key), " ", delta, "\r\n" }, replies.number)
end

function _M.decr(self, key, delta)
    return run(self, { "decr ", self.escape_key(key), " ", delta, "\r\n" }, replies.number)
end

-- what: "items", "sizes", "slabs", … or nil. Returns an array of lines, or nil and an error text.
function _M.stats(self, what)
    return run(self, what and { "stats ", what, "\r\n" } or { "stats\r\n" }, replies.stats)
end

-- Returns the server's version, or nil and an error text.
function _M.version(self)
    return run(self, { "version\r\n" }, replies.version)
end

-- Ask the server to close the connection. Returns 1, or nil and an error text.
function _M.quit(self)
    return run(self, { "quit\r\n" }, function()
        return 1
    end)
end

-- Commands are kept from here on until commit_pipeline. count: how many there will be (taken for compatibility).
-- Returns nil, or an error text.
function _M.init_pipeline(self, count)
    if rawget(self, "_pipeline") then
        return "already init pipeline"
    elseif count and type(count) ~= "number" then
        return "bad n arg: number expected, but got " .. type(count)
    end
    self._pipeline = { requests = {}, readers = {} }
end

function _M.cancel_pipeline(self)
    self._pipeline = nil
end

-- Send the kept commands at once. Returns an array of tables, each of what its command returns; or nil and an error.
function _M.commit_pipeline(self)
    local pipeline = rawget(self, "_pipeline")
    self._pipeline = nil
    if not pipeline then
        return nil, "no pipeline"
    elseif not self.sock then
        return nil, "not initialized"
    elseif #pipeline.readers == 0 then
        return nil, "no more cmds"
    end
    local sent, err = self.sock:send(pipeline.requests)
    if not sent then
        return nil, err
    end
    local results = {}
    for i, read in ipairs(pipeline.readers) do
        results[i] = { read(self.sock, self) }
    end
    return results
end

return _M
