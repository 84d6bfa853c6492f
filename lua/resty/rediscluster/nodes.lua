-- Owns connections to single nodes of a cluster, by the cluster's configuration. Part of resty.rediscluster.
local redis = require "resty.redis"

local log, ERR = ngx.log, ngx.ERR
local crc32 = ngx.crc32_long
local pairs = pairs

local TIMEOUT = 1000              -- milliseconds
local KEEPALIVE_TIMEOUT = 55000   -- milliseconds
local KEEPALIVE_CONNECTIONS = 1000

local _M = {}

local function has_password(config)
    return config.auth and config.auth ~= ""
end

-- A connection is logged in once, so it must not come to those with another password.
local function options_of(config, node)
    local given, options = config.connect_opts or {}, {}
    for name, value in pairs(given) do
        options[name] = value
    end
    if not options.pool then
        options.pool = (options.ssl and "ssl#" or "") .. node.ip .. ":" .. node.port
            .. (has_password(config) and "#" .. crc32(config.auth) or "")
    end
    return options
end

-- node: {ip, port}. Returns a resty.redis that is logged in, or nil, err, and true if it was refused to log in.
function _M.connect(config, node)
    local client, err = redis.new()
    if not client then
        return nil, err
    end
    client:set_timeouts(config.connect_timeout or TIMEOUT, config.send_timeout or TIMEOUT,
        config.read_timeout or TIMEOUT)
    local ok
    ok, err = client:connect(node.ip, node.port, options_of(config, node))
    if not ok then
        return nil, err
    end
    if has_password(config) and client:get_reused_times() == 0 then
        ok, err = client:auth(config.auth)
        if not ok then
            client:close()
            return nil, err, true
        end
    end
    return client
end

function _M.release(config, client)
    local ok, err = client:set_keepalive(config.keepalive_timeout or KEEPALIVE_TIMEOUT,
        config.keepalive_cons or KEEPALIVE_CONNECTIONS)
    if not ok then
        log(ERR, "set keepalive failed: ", err)
    end
end

return _M
