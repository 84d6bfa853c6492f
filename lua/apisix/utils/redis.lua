-- Owns the connection to the redis server that a plugin's configuration names. Mirrors apisix.utils.redis.
local redis = require "resty.redis"

local crc32 = ngx.crc32_long
local concat = table.concat

local DEFAULT_PORT, DEFAULT_TIMEOUT = 6379, 1000 -- milliseconds

local _M = { version = 0.1 }

local function has_password(conf)
    return conf.redis_password and conf.redis_password ~= ""
end

-- A new connection alone is logged in and told its database, so no two configurations that differ in that may
-- share a pool. The pool's name shows in messages: no password in it.
local function pool_name(conf, port)
    local scheme = "redis"
    if conf.redis_ssl then
        scheme = conf.redis_ssl_verify and "rediss-verify" or "rediss"
    end
    local name = concat({ scheme, conf.redis_host, port, conf.redis_database or 0 }, "#")
    if has_password(conf) then
        name = name .. "#" .. crc32((conf.redis_username or "") .. ":" .. conf.redis_password)
    end
    return name
end

local function log_in(client, conf)
    if not has_password(conf) then
        return true
    elseif conf.redis_username then
        return client:auth(conf.redis_username, conf.redis_password)
    end
    return client:auth(conf.redis_password)
end

local function prepare(client, conf)
    local ok, err = log_in(client, conf)
    if not ok then
        return nil, err
    end
    local database = conf.redis_database or 0
    if database == 0 then
        return true
    end
    ok, err = client:select(database)
    if not ok then
        return nil, "failed to change redis db, err: " .. err
    end
    return true
end

-- conf: redis_host, redis_port, redis_username, redis_password, redis_database, redis_timeout (milliseconds),
-- redis_ssl, redis_ssl_verify. Returns a resty.redis that is logged in, or nil, err.
function _M.new(conf)
    local client, err = redis.new()
    if not client then
        return nil, err
    end
    local timeout = conf.redis_timeout or DEFAULT_TIMEOUT
    client:set_timeouts(timeout, timeout, timeout)
    local port = conf.redis_port or DEFAULT_PORT
    local ok
    ok, err = client:connect(conf.redis_host, port, {
        ssl = conf.redis_ssl,
        ssl_verify = conf.redis_ssl_verify,
        pool = pool_name(conf, port),
    })
    if not ok then
        return nil, err
    end
    if client:get_reused_times() == 0 then
        ok, err = prepare(client, conf)
        if not ok then
            client:close()
            return nil, err
        end
    end
    return client
end

return _M
