-- Owns what is known of each cluster: which node serves which slot. It is asked for once, and again when an answer
-- shows that it has changed; of the tasks that need it at the same time one asks. Part of resty.rediscluster.
local nodes = require "resty.rediscluster.nodes"
local semaphore = require "ngx.semaphore"

local log, now, ERR = ngx.log, ngx.now, ngx.ERR
local concat = table.concat
local ipairs = ipairs
local null = ngx.null
local type = type

local MAX_ATTEMPTS = 3
local PATIENCE = 10 -- seconds that one task waits for another's asking

-- name of the cluster -> {slots = slot -> array of nodes (the master first), masters, servers: arrays of nodes,
-- asking = the semaphore of those who wait, or nil}
local known = {}

local _M = {}

local function node_of(entry, asked)
    local ip = entry[1]
    if ip == null or ip == "" then -- the node does not know its own address as we see it
        ip = asked.ip
    end
    return { ip = ip, port = entry[2] }
end

-- ranges: the reply of CLUSTER SLOTS, asked of a node.
local function read(cluster, ranges, asked)
    local slots, masters, servers, seen = {}, {}, {}, {}
    local function add(list, kind, node)
        local name = kind .. node.ip .. ":" .. node.port
        if not seen[name] then
            seen[name] = true
            list[#list + 1] = node
        end
    end
    for _, range in ipairs(ranges) do
        local serving = {}
        for i = 3, #range do
            serving[i - 2] = node_of(range[i], asked)
            add(servers, "server ", serving[i - 2])
        end
        add(masters, "master ", serving[1])
        for slot = range[1], range[2] do
            slots[slot] = serving
        end
    end
    cluster.slots, cluster.masters, cluster.servers = slots, masters, servers
end

-- Connect, as often as the configuration allows. Returns as nodes.connect.
local function connect(config, server, deadline, errors)
    for attempt = 1, config.max_connection_attempts or MAX_ATTEMPTS do
        if deadline and now() > deadline then
            errors[#errors + 1] = "max_connection_timeout of " .. config.max_connection_timeout .. "ms reached."
            return nil, true
        end
        local client, err, refused = nodes.connect(config, server)
        if client then
            return client
        end
        errors[#errors + 1] = err
        if refused then
            return nil, true
        end
        log(ERR, "unable to connect, attempt nr ", attempt, " : error: ", err)
    end
    return nil, false
end

-- Ask one server. Returns whether it answered, and if not, whether asking others is in vain.
local function ask(cluster, config, server, deadline, errors)
    local client, hopeless = connect(config, server, deadline, errors)
    if not client then
        return false, hopeless
    end
    local ranges, err = client:cluster("slots")
    if type(ranges) ~= "table" then
        errors[#errors + 1] = err or "no answer to CLUSTER SLOTS"
        client:close()
        return false
    end
    nodes.release(config, client)
    read(cluster, ranges, server)
    return true
end

local function fetch(cluster, config)
    local errors = {}
    local deadline = config.max_connection_timeout and now() + config.max_connection_timeout / 1000
    for _, servers in ipairs({ cluster.servers or {}, config.serv_list }) do
        for _, server in ipairs(servers) do
            local ok, hopeless = ask(cluster, config, server, deadline, errors)
            if ok then
                return true
            elseif hopeless then
                return nil, "failed to fetch slots: " .. concat(errors, ";")
            end
        end
    end
    return nil, "failed to fetch slots: " .. concat(errors, ";")
end

local function wait_for_another(cluster)
    local asking = cluster.asking
    cluster.waiting = cluster.waiting + 1
    local ok, err = asking:wait(PATIENCE)
    if ok then
        return cluster.slots and not cluster.failure, cluster.failure
    end
    if cluster.asking == asking then
        cluster.asking = nil -- who asked was stopped: the next one asks
    end
    return nil, "failed to fetch slots: " .. err
end

-- Ask for the cluster's slots again. Returns true, or nil, err; what was known before then stays.
function _M.refresh(config)
    local cluster = known[config.name] or {}
    known[config.name] = cluster
    if cluster.asking then
        return wait_for_another(cluster)
    end
    local asking = semaphore.new()
    cluster.asking, cluster.waiting = asking, 0
    local ok, err = fetch(cluster, config)
    if not ok then
        log(ERR, err)
    end
    cluster.asking, cluster.failure = nil, err
    if cluster.waiting > 0 then
        asking:post(cluster.waiting)
    end
    return ok, err
end

-- {slots, masters, servers} of the cluster, asked for if that was never done; or nil, err.
function _M.of(config)
    local cluster = known[config.name]
    if not cluster or not cluster.slots then
        local ok, err = _M.refresh(config)
        if not ok then
            return nil, err
        end
    end
    return known[config.name]
end

return _M
