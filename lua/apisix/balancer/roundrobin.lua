-- Owns the picking by weighted round robin, passing over servers that this request has tried.
-- Mirrors apisix.balancer.roundrobin.
local core = require "apisix.core"
local roundrobin = require "resty.roundrobin"

local pairs = pairs

local _M = {}

local function forget_tried(ctx)
    if ctx.balancer_tried_servers then
        core.tablepool.release("balancer_tried_servers", ctx.balancer_tried_servers)
        ctx.balancer_tried_servers = nil
    end
end

local function note_tried(ctx, server)
    local tried = ctx.balancer_tried_servers
    if not tried then
        tried = core.tablepool.fetch("balancer_tried_servers", 0, 2)
        ctx.balancer_tried_servers = tried
    end
    tried[server] = true
    ctx.balancer_tried_servers_count = (ctx.balancer_tried_servers_count or 0) + 1
end

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

    local function after_balance(ctx, before_retry)
        local server = ctx.balancer_server
        ctx.balancer_server = nil
        if not before_retry then
            forget_tried(ctx)
        elseif server then
            note_tried(ctx, server)
        end
    end

    local function before_retry_next_priority(ctx)
        forget_tried(ctx)
        ctx.balancer_tried_servers_count = 0
    end

    return {
        upstream = upstream,
        get = get,
        after_balance = after_balance,
        before_retry_next_priority = before_retry_next_priority,
    }
end

return _M
