-- Owns pipelines over a cluster: one pipeline for each node, the replies put together in the order of the commands,
-- those redirected run again by themselves. Part of resty.rediscluster.
local command = require "resty.rediscluster.command"
local nodes = require "resty.rediscluster.nodes"
local topology = require "resty.rediscluster.topology"

local random = math.random
local ipairs = ipairs
local pairs = pairs
local sub = string.sub
local type = type
local unpack = unpack

local MANY = 65536 -- for a seed that picks among any number of nodes

local _M = {}

-- requests: array of {command, key, n = count of arguments, …}. Returns node name -> {node, indexes}.
local function group(config, requests)
    local groups, seed = {}, random(MANY)
    for i, request in ipairs(requests) do
        local node, err = command.pick(config, request.key, seed)
        if not node then
            topology.refresh(config)
            return nil, err
        end
        local name = node.ip .. ":" .. node.port
        groups[name] = groups[name] or { node = node, indexes = {} }
        groups[name].indexes[#groups[name].indexes + 1] = i
    end
    return groups
end

-- Returns the replies of one node in the order of indexes, or nil, err.
local function run_on(config, node, requests, indexes)
    local client, err = command.prepare(config, node)
    if not client then
        return nil, err
    end
    client:init_pipeline(#indexes)
    for _, i in ipairs(indexes) do
        local request = requests[i]
        client[request.command](client, unpack(request, 1, request.n))
    end
    local replies
    replies, err = client:commit_pipeline()
    if not replies then
        return nil, err
    end
    nodes.release(config, client)
    return replies
end

-- The reply to a request, run again if it was sent to the wrong node. Returns reply, or nil, err.
local function settle(config, node, request, reply)
    if type(reply) ~= "table" or reply[1] ~= false then
        return reply
    end
    if sub(reply[2], 1, 11) == "CLUSTERDOWN" then
        return nil, "Cannot executing pipeline command, cluster status is failed!"
    end
    local kind, other = command.redirection(reply[2], node)
    if kind == "ASK" then
        return command.run(config, other, request.key, request.command, unpack(request, 1, request.n))
    elseif kind == "MOVED" then
        topology.refresh(config)
        return command.run(config, nil, request.key, request.command, unpack(request, 1, request.n))
    end
    return reply
end

-- Returns the replies, an error of redis being {false, text}; or nil, err.
function _M.run(config, requests)
    local groups, err = group(config, requests)
    if not groups then
        return nil, err
    end
    local all = {}
    for name, each in pairs(groups) do
        local replies
        replies, err = run_on(config, each.node, requests, each.indexes)
        if not replies then
            topology.refresh(config)
            return nil, err .. " return from " .. name
        end
        for position, i in ipairs(each.indexes) do
            all[i], err = settle(config, each.node, requests[i], replies[position])
            if all[i] == nil then
                return nil, err
            end
        end
    end
    return all
end

return _M
