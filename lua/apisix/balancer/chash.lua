-- Owns the picking by consistent hashing: equal keys come to equal servers, and a retry to the next on the ring.
-- Mirrors apisix.balancer.chash.
local chash = require "resty.chash"
local core = require "apisix.core"
local tried_servers = require "apisix.upstream.tried"

local gsub = string.gsub
local pairs = pairs

local ZERO = string.char(0)
local POINTS = 160 -- on the ring, for each unit of weight

local _M = {}

local function combination(key, vars)
    local value, err, resolved = core.utils.resolve_var(key, vars)
    if err then
        core.log.error("could not resolve vars in ", key, " error: ", err)
    end
    return resolved ~= 0 and value or nil
end

local function configured_key(ctx, upstream)
    local key, hash_on = upstream.key, upstream.hash_on or "vars"
    if hash_on == "vars" then
        return ctx.var[key]
    elseif hash_on == "header" then
        return ctx.var["http_" .. key]
    elseif hash_on == "cookie" then
        return ctx.var["cookie_" .. key]
    elseif hash_on == "consumer" then
        return ctx.consumer_name
    elseif hash_on == "vars_combinations" then
        return combination(key, ctx.var)
    end
    return nil
end

local function key_of(ctx, upstream)
    local key = configured_key(ctx, upstream)
    if not key then
        key = ctx.var.remote_addr
        core.log.warn("chash_key fetch is nil, use default chash_key remote_addr: ", key)
    end
    return key
end

-- Weights are divided by what they have in common, as each unit costs points. Returns id -> weight and
-- id -> server, the number of servers and that of points; an id is as nginx forms it.
local function ring_nodes(up_nodes)
    local divisor, count, points = 0, 0, 0
    for _, weight in pairs(up_nodes) do
        divisor = core.math.gcd(divisor, weight)
    end
    divisor = divisor > 0 and divisor or 1
    local nodes, servers = {}, {}
    for server, weight in pairs(up_nodes) do
        local id = gsub(server, ":", ZERO)
        nodes[id], servers[id] = weight / divisor, server
        count, points = count + 1, points + weight / divisor * POINTS
    end
    return nodes, servers, count, points
end

-- See apisix.balancer.roundrobin.
function _M.new(up_nodes, upstream)
    local nodes, servers, count, points = ring_nodes(up_nodes)
    local ring = chash:new(nodes)
    if points == 0 then
        return nil, "no node has a weight above 0"
    end

    local function get_next(ctx, tried)
        if ctx.balancer_tried_servers_count == count then
            return nil, "all upstream servers tried"
        end
        local at, id = ctx.chash_last_server_index, nil
        for _ = 1, points do
            id, at = ring:next(at)
            if not tried[servers[id]] then
                break
            end
        end
        ctx.chash_last_server_index = at
        return servers[id]
    end

    local function get(ctx)
        local tried = ctx.balancer_tried_servers
        if tried then
            return get_next(ctx, tried)
        end
        local id
        id, ctx.chash_last_server_index = ring:find(key_of(ctx, upstream))
        return servers[id]
    end

    return {
        upstream = upstream,
        get = get,
        after_balance = tried_servers.leave,
        before_retry_next_priority = tried_servers.begin_anew,
    }
end

return _M
