-- Owns the client of the redis cluster that a plugin's configuration names. Mirrors apisix.utils.rediscluster.
local rediscluster = require "resty.rediscluster"
local parse_addr = require("apisix.core.utils.address").parse_addr

local ipairs = ipairs

local _M = { version = 0.1 }

-- conf: redis_cluster_name, redis_cluster_nodes (array of "host:port"), redis_password, redis_timeout
-- (milliseconds), redis_keepalive_timeout, redis_keepalive_pool, redis_cluster_ssl, redis_cluster_ssl_verify.
-- dict_name: a shared dictionary for locks. Returns a resty.rediscluster, or nil, err.
function _M.new(conf, dict_name)
    local servers = {}
    for i, node in ipairs(conf.redis_cluster_nodes) do
        local host, port = parse_addr(node)
        servers[i] = { ip = host, port = port }
    end
    local client, err = rediscluster:new({
        name = conf.redis_cluster_name,
        serv_list = servers,
        keepalive_timeout = conf.redis_keepalive_timeout,
        keepalive_cons = conf.redis_keepalive_pool,
        connect_timeout = conf.redis_timeout,
        send_timeout = conf.redis_timeout,
        read_timeout = conf.redis_timeout,
        auth = conf.redis_password,
        dict_name = dict_name,
        connect_opts = { ssl = conf.redis_cluster_ssl, ssl_verify = conf.redis_cluster_ssl_verify },
    })
    if not client then
        return nil, "failed to new redis cluster: " .. err
    end
    return client
end

return _M
