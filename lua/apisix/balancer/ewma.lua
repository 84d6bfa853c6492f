-- Owns the picking of the faster of two servers at random, by a moving average of their times that all workers share.
-- Mirrors apisix.balancer.ewma.
local core = require "apisix.core"
local tried_servers = require "apisix.upstream.tried"

local exp = math.exp
local match = string.match
local max = math.max
local now = ngx.now
local pairs = pairs
local random = math.random
local shared = ngx.shared
local tonumber = tonumber

local DECAY_TIME = 10 -- seconds until a time that was seen counts a third
local TTL = 60 -- seconds until a server that nobody asks is unknown again

local averages = shared["balancer-ewma"]
local touched = shared["balancer-ewma-last-touched-at"]

local _M = { name = "ewma" }

-- The average of a server at `time` if it took `seconds` now.
local function average_of(server, seconds, time)
    local age = max(time - (touched:get(server) or 0), 0)
    local weight = exp(-age / DECAY_TIME)
    return (averages:get(server) or 0) * weight + seconds * (1 - weight)
end

local function keep(dict, name, server, value)
    local ok, err, forcible = dict:set(server, value, TTL)
    if not ok then
        core.log.error(name, ":set failed: ", err)
    elseif forcible then
        core.log.warn(name, ":set valid items forcibly overwritten")
    end
end

-- Without a lock: what another worker adds at this moment may be lost, which an average bears.
local function learn(server, seconds)
    local time = now()
    local average = average_of(server, seconds, time)
    keep(touched, "shm_last_touched_at", server, time)
    keep(averages, "shm_ewma", server, average)
end

-- Of a variable with a value for each server tried, the last.
local function last_of(value)
    return value and match(value, "([^%s,]+)$")
end

local function after_balance(ctx, before_retry)
    tried_servers.leave(ctx, before_retry)
    if before_retry then
        return
    end
    local var = ctx.var
    local server = last_of(var.upstream_addr)
    if server then
        local connect, response = last_of(var.upstream_connect_time), last_of(var.upstream_response_time)
        learn(server, (tonumber(connect) or 0) + (tonumber(response) or 0))
    end
end

local function without(servers, tried)
    local left = {}
    for i = 1, #servers do
        if not tried[servers[i]] then
            left[#left + 1] = servers[i]
        end
    end
    return left
end

local function faster(servers)
    local count = #servers
    if count < 2 then
        return servers[1]
    end
    local a, b = random(count), random(count - 1)
    b = b < a and b or b + 1
    local time = now()
    if average_of(servers[a], 0, time) > average_of(servers[b], 0, time) then
        a = b
    end
    return servers[a]
end

-- See apisix.balancer.roundrobin; weights say nothing here.
function _M.new(up_nodes, upstream)
    if not averages or not touched then
        return nil, "dictionary not find"
    end
    local servers = {}
    for server in pairs(up_nodes) do
        servers[#servers + 1] = server
    end

    local function get(ctx)
        local tried = ctx.balancer_tried_servers
        if not tried then
            return faster(servers)
        end
        local server = faster(without(servers, tried))
        if not server then
            return nil, "all upstream servers tried"
        end
        return server
    end

    return {
        upstream = upstream,
        get = get,
        after_balance = after_balance,
        before_retry_next_priority = tried_servers.begin_anew,
    }
end

return _M
