-- Owns finding a master or a slave by asking sentinels, and remembering for a while which is the master.
-- Part of resty.redis.connector, whose connect_to_host and try_hosts make the connections.
local lrucache = require "resty.lrucache"
local sentinel = require "resty.redis.sentinel"

local null = ngx.null
local concat = table.concat
local ipairs = ipairs
local sort = table.sort

-- sentinels and name of the master -> {host, port}
local masters = lrucache.new(1024)

local _M = {}

local function ask_sentinel(self, params)
    local hosts = {}
    for i, each in ipairs(params.sentinels) do
        hosts[i] = {
            host = each.host, port = each.port, path = each.path, db = null,
            username = each.username or params.sentinel_username,
            password = each.password or params.sentinel_password,
        }
    end
    return self:try_hosts(hosts)
end

local function with_login(host, params)
    host.db, host.username, host.password = params.db, params.username, params.password
    return host
end

local function cache_key(params)
    local names = {}
    for i, each in ipairs(params.sentinels) do
        names[i] = (each.path or each.host) .. ":" .. (each.port or "")
    end
    sort(names)
    return params.master_name .. "@" .. concat(names, ",")
end

-- Returns as connector:connect().
function _M.connect_to_master(self, params)
    local key = cache_key(params)
    local known = masters:get(key)
    if known then
        local client = self:connect_to_host(with_login({ host = known.host, port = known.port }, params))
        if client then
            return client
        end
        masters:delete(key)
    end
    local asked, err, previous = ask_sentinel(self, params)
    if not asked then
        return nil, err, previous
    end
    local master
    master, err = sentinel.get_master(asked, params.master_name)
    if not master then
        asked:close()
        return nil, err
    end
    asked:set_keepalive()
    masters:set(key, { host = master.host, port = master.port }, params.sentinel_cache_ttl)
    return self:connect_to_host(with_login(master, params))
end

local function nearer(a, b)
    return a.host == "127.0.0.1" and b.host ~= "127.0.0.1"
end

-- Likewise, to one of its slaves that are up: on this machine rather than elsewhere.
function _M.connect_to_slave(self, params)
    local asked, err, previous = ask_sentinel(self, params)
    if not asked then
        return nil, err, previous
    end
    local slaves
    slaves, err = sentinel.get_slaves(asked, params.master_name)
    if not slaves then
        asked:close()
        return nil, err
    end
    asked:set_keepalive()
    sort(slaves, nearer)
    for _, slave in ipairs(slaves) do
        with_login(slave, params)
    end
    return self:try_hosts(slaves)
end

return _M
