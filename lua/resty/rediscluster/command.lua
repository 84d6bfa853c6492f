-- Owns the running of one command on the node that serves its key, following MOVED and ASK. Part of
-- resty.rediscluster.
local nodes = require "resty.rediscluster.nodes"
local slot_of = require "resty.rediscluster.slot"
local topology = require "resty.rediscluster.topology"

local match = string.match
local random = math.random
local sub = string.sub
local tonumber = tonumber
local tostring = tostring

local MAX_REDIRECTIONS = 5
local NO_SLOTS = 'not slots information present, nginx might have never successfully executed cluster("slots")'

local _M = { DOWN = "Cannot executing command, cluster status is failed!" }

-- The node to send a command to: the master, or with enable_slave_read any. seed: the same one for all commands of
-- a pipeline. Returns {ip, port, slave}, or nil, err.
function _M.pick(config, key, seed)
    local cluster, err = topology.of(config)
    if not cluster then
        return nil, err
    end
    local serving = cluster.slots[slot_of(tostring(key))]
    if not serving then
        return nil, NO_SLOTS
    end
    local index = 1
    if config.enable_slave_read then
        index = seed and seed % #serving + 1 or random(#serving)
    end
    local node = serving[index]
    return { ip = node.ip, port = node.port, slave = index > 1 }
end

-- "MOVED 3999 127.0.0.1:6381" or "ASK …" -> kind, {ip, port}; nil for any other error.
function _M.redirection(err, asked)
    local kind, ip, port = match(err, "^(%u+) %d+ (.*):(%d+)$")
    if kind ~= "MOVED" and kind ~= "ASK" then
        return nil
    end
    return kind, { ip = ip ~= "" and ip or asked.ip, port = tonumber(port) }
end

-- Returns a client of the node that may be given a command, or nil, err, and true if it was refused to log in.
function _M.prepare(config, node, asking)
    local client, err, refused = nodes.connect(config, node)
    if not client then
        return nil, err, refused
    end
    local ok = true
    if node.slave then
        ok, err = client:readonly()
    end
    if ok and asking then
        ok, err = client:asking()
    end
    if not ok then
        client:close()
        return nil, err
    end
    return client
end

-- Returns the reply; or false and an error of redis; or nil and an error of the connection, and true if another try
-- is in vain.
local function try(config, node, asking, command, ...)
    local client, err, refused = _M.prepare(config, node, asking)
    if not client then
        return nil, err, refused
    end
    local reply
    reply, err = client[command](client, ...)
    if reply == nil then
        client:close()
        return nil, err, true -- the command may have been done
    end
    nodes.release(config, client)
    return reply, err
end

-- What follows from an error: where to try next ({ip, port}, whether by ASKING), or the text to end with.
local function next_step(config, node, asking, reply, failure, final)
    local kind, other
    if reply == false then
        kind, other = _M.redirection(failure, node)
    end
    if kind == "ASK" then
        if asking then
            return nil, false, "nested asking redirection occurred, client cannot retry "
        end
        return other, true
    end
    if sub(failure, 1, 11) == "CLUSTERDOWN" then
        return nil, false, _M.DOWN
    end
    if kind or reply == nil then
        topology.refresh(config) -- slots have moved, or a node is gone
    end
    if kind or reply == nil and not final then
        return other, false
    end
    return nil, false, failure
end

-- Run the command, its arguments being what a single node takes. key: decides the node, unless target is given,
-- which is then asked with ASKING. Returns the reply, or nil, err.
function _M.run(config, target, key, command, ...)
    local node, asking, err = target, target ~= nil, nil
    for _ = 1, config.max_redirection or MAX_REDIRECTIONS do
        if not node then
            node, err = _M.pick(config, key)
            if not node then
                return nil, err
            end
        end
        local reply, failure, final = try(config, node, asking, command, ...)
        if reply then
            return reply
        end
        local ending
        node, asking, ending = next_step(config, node, asking, reply, failure, final)
        if ending then
            return nil, ending
        end
        err = failure
    end
    return nil, err
end

return _M
