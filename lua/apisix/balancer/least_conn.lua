-- Owns the picking of the server with the fewest requests in flight in this worker, by weight.
-- Mirrors apisix.balancer.least_conn.
local tried_servers = require "apisix.upstream.tried"
local core = require "apisix.core"

local pairs = pairs
local setmetatable = setmetatable
local sort = table.sort

-- Upstream and priority -> (server -> its requests in flight, where there are any). It outlives pickers, so that
-- connections that last, as of WebSocket, still count when the nodes have changed; a picker keeps it alive.
local states = setmetatable({}, { __mode = "v" })

local _M = {}

local function state_of(upstream, priority)
    local name = upstream.resource_key
    if not name or not priority then
        return {} -- of this picker alone
    end
    name = name .. "#" .. priority
    local state = states[name]
    if not state then
        state = {}
        states[name] = state
    end
    return state
end

local function release(in_flight, server)
    local count = (in_flight[server] or 0) - 1
    if count < 0 then
        core.log.error("released a connection never picked on ", server)
    end
    in_flight[server] = count > 0 and count or nil
end

-- See apisix.balancer.roundrobin. priority: that of these nodes.
function _M.new(up_nodes, upstream, priority)
    local in_flight = state_of(upstream, priority)
    local servers = {}
    for server in pairs(up_nodes) do
        servers[#servers + 1] = server
    end
    sort(servers)
    local count, last = #servers, 0

    -- Of those that are equally good, the one whose turn it is.
    local function get(ctx)
        local tried = ctx.balancer_tried_servers
        local best, best_score
        for i = last + 1, last + count do
            i = (i - 1) % count + 1
            local server = servers[i]
            if not (tried and tried[server]) then
                local score = ((in_flight[server] or 0) + 1) / up_nodes[server]
                if not best or score < best_score then
                    best, best_score = i, score
                end
            end
        end
        if not best then
            return nil, "all upstream servers tried"
        end
        last = best
        local server = servers[best]
        in_flight[server] = (in_flight[server] or 0) + 1
        return server
    end

    local function after_balance(ctx, before_retry)
        if ctx.balancer_server then
            release(in_flight, ctx.balancer_server)
        end
        tried_servers.leave(ctx, before_retry)
    end

    return {
        upstream = upstream,
        get = get,
        after_balance = after_balance,
        before_retry_next_priority = tried_servers.forget,
    }
end

return _M
