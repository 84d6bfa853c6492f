-- Owns the picking by weighted round robin, passing over servers that this request has tried.
-- Mirrors apisix.balancer.roundrobin.
local roundrobin = require "resty.roundrobin"
local tried_servers = require "apisix.upstream.tried"

local pairs = pairs

local _M = {}

-- up_nodes: "host:port" -> weight. Returns a picker: get(ctx) -> server or nil, err; after_balance(ctx,
-- before_retry), to be told when the picked server is done with; before_retry_next_priority(ctx).
function _M.new(up_nodes, upstream)
    local picker = roundrobin:new(up_nodes)
    local count, limit = 0, 0
    for _, weight in pairs(up_nodes) do
        count = count + 1
        limit = limit + weight + 1 -- one whole cycle
    end

    local function get(ctx)
        local tried = ctx.balancer_tried_servers
        if not tried then
            return picker:find()
        end
        if ctx.balancer_tried_servers_count == count then
            return nil, "all upstream servers tried"
        end
        local server
        for _ = 1, limit do
            server = picker:find()
            if not tried[server] then
                break
            end
        end
        return server
    end

    return {
        upstream = upstream,
        get = get,
        after_balance = tried_servers.leave,
        before_retry_next_priority = tried_servers.begin_anew,
    }
end

return _M
