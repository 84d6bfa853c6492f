-- Owns the way to a ready redis connection, directly or through sentinels (API of lua-resty-redis-connector as
-- api7 ships it): address, timeouts, authentication and database in one table. Must never run a caller's command.
local discovery = require "resty.redis.discovery"
local dsn = require "resty.redis.dsn"
local redis = require "resty.redis"

local crc32 = ngx.crc32_long
local null = ngx.null
local concat = table.concat
local error = error
local find = string.find
local ipairs = ipairs
local pairs = pairs
local setmetatable = setmetatable
local tostring = tostring

-- Timeouts are milliseconds, sentinel_cache_ttl is seconds.
local DEFAULTS = {
    connect_timeout = 100,
    send_timeout = 1000,
    read_timeout = 1000,
    connection_options = {}, -- of resty.redis' connect()
    keepalive_timeout = 60000,
    keepalive_poolsize = 30,
    host = "127.0.0.1",
    port = 6379,
    path = "", -- of a unix socket, instead of host and port
    username = "",
    password = "",
    sentinel_username = "",
    sentinel_password = "",
    sentinel_cache_ttl = 10, -- how long a master is believed to be one without asking
    db = 0,
    url = "",
    master_name = "mymaster",
    role = "master", -- or "slave"
    sentinels = {}, -- array of {host, port}
    connection_is_proxied = false,
    disabled_commands = {},
}

-- What Twemproxy does not pass on.
local UNPROXIED = {
    "auth", "bgrewriteaof", "bgsave", "bitop", "blpop", "brpop", "brpoplpush", "client", "config", "dbsize",
    "debug", "discard", "echo", "exec", "flushall", "flushdb", "info", "lastsave", "migrate", "monitor", "move",
    "msetnx", "multi", "object", "psubscribe", "publish", "punsubscribe", "randomkey", "rename", "renamenx",
    "save", "scan", "script", "select", "shutdown", "slaveof", "slowlog", "subscribe", "sync", "time",
    "unsubscribe", "unwatch", "watch",
}

local _M = { _VERSION = "0.12.0", parse_dsn = dsn.parse }
local metatable = { __index = _M }

-- given over defaults. Returns nil, err for a field that nobody knows or a url that cannot be read.
local function complete(given, defaults)
    given = given or {}
    local params, err = dsn.parse(given)
    if not params then
        return nil, err
    end
    local all = {}
    for name, value in pairs(defaults) do
        all[name] = value
    end
    for name, value in pairs(params) do
        if DEFAULTS[name] == nil then
            return nil, "field " .. tostring(name) .. " does not exist"
        end
        all[name] = value
    end
    if params.read_timeout and not params.send_timeout then
        all.send_timeout = params.read_timeout
    end
    return all
end

-- params: see DEFAULTS. Returns the connector, or nil, err.
function _M.new(params)
    local config, err = complete(params, DEFAULTS)
    if not config then
        return nil, err
    end
    if config.connection_is_proxied and not config.disabled_commands[1] then
        config.disabled_commands = UNPROXIED
    end
    return setmetatable({ config = config }, metatable)
end

-- params: over those of new(), for this connection alone. Returns a resty.redis, or nil, err and, where
-- several hosts were tried, an array of their errors. Raises for a field that nobody knows.
function _M:connect(params)
    local all, err = complete(params, self.config)
    if not all then
        if params and params.url then
            return nil, err
        end
        return error(err, 2)
    end
    if all.sentinels[1] then
        return self:connect_via_sentinel(all)
    end
    return self:connect_to_host(all)
end

-- A connection that is logged in and has its database must not serve who has others: hence the pool's name.
local function options_of(config, host, address)
    local options = {}
    for name, value in pairs(config.connection_options) do
        options[name] = value
    end
    if not options.pool then
        local login = (host.username or "") .. ":" .. (host.password or "")
        local db = host.db ~= null and host.db or ""
        options.pool = concat({ address, tostring(db), crc32(login), options.ssl and "ssl" or "" }, "#")
    end
    return options
end

local function open(client, config, host)
    local path = host.path
    if path and path ~= "" then
        path = find(path, "^unix:") and path or "unix:" .. path
        return client:connect(path, options_of(config, host, path))
    end
    return client:connect(host.host, host.port, options_of(config, host, host.host .. ":" .. host.port))
end

local function authenticate(client, username, password)
    if not password or password == "" then
        return true
    end
    if username and username ~= "" and username ~= "default" then -- that form needs redis 6
        return client:auth(username, password)
    end
    return client:auth(password)
end

local function select_db(client, db)
    local ok, err = client:select(db)
    if not ok and err and find(err, "ERR unknown command", 1, true) then
        local role = client:role()
        if role and role[1] == "sentinel" then -- it has no databases
            return true
        end
    end
    return ok, err
end

-- Log in and go to the database. Returns true, or a false value and an error text.
local function prepare(client, config, host)
    local ok, err = authenticate(client, host.username, host.password)
    if not ok then
        return ok, err
    end
    if config.connection_is_proxied or host.db == nil or host.db == null then
        return true
    end
    return select_db(client, host.db)
end

local function disable(client, commands)
    for _, command in ipairs(commands) do
        client[command] = function()
            return nil, "Command " .. command .. " is disabled"
        end
    end
end

-- host: {host, port} or {path}, and whatever of the other parameters is to differ from the connector's.
-- Returns a resty.redis, or nil, err.
function _M:connect_to_host(host)
    local client, err = redis.new()
    if not client then
        return nil, err
    end
    local config = {}
    for name, value in pairs(self.config) do
        config[name] = host[name] or value
    end
    client:set_timeouts(config.connect_timeout, config.send_timeout, config.read_timeout)
    local ok
    ok, err = open(client, config, host)
    if not ok then
        return nil, err
    end
    if client:get_reused_times() == 0 then
        ok, err = prepare(client, config, host)
        if not ok then
            client:close()
            return nil, err
        end
    end
    disable(client, config.disabled_commands)
    return client
end

-- The first of the hosts that can be connected to. Returns a resty.redis, nil and an array of the others' errors;
-- or nil, "no hosts available" and that array.
function _M:try_hosts(hosts)
    local errors = {}
    for i, host in ipairs(hosts) do
        local client, err = self:connect_to_host(host)
        if client then
            return client, nil, errors
        end
        errors[i] = err
    end
    return nil, "no hosts available", errors
end

-- params: complete ones. Returns as connect().
function _M:connect_via_sentinel(params)
    if params.role == "master" then
        return discovery.connect_to_master(self, params)
    end
    return discovery.connect_to_slave(self, params)
end

-- Put the connection into the pool, out of any transaction. Returns 1, or nil, err.
function _M:set_keepalive(client)
    if not self.config.connection_is_proxied then
        client:discard()
    end
    return client:set_keepalive(self.config.keepalive_timeout, self.config.keepalive_poolsize)
end

-- Older names for parameters of new().
function _M:set_connect_timeout(milliseconds)
    self.config.connect_timeout = milliseconds
end

function _M:set_read_timeout(milliseconds)
    self.config.read_timeout = milliseconds
end

function _M:set_connection_options(options)
    self.config.connection_options = options
end

return _M
