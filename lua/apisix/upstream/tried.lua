-- Owns the servers that a request has tried: ctx.balancer_tried_servers (server -> true) and
-- ctx.balancer_tried_servers_count. Must never pick one.
local tablepool = require("apisix.core").tablepool

local _M = {}

-- The request moves on from the server that it holds, if any: to another one (before_retry), or to its end.
function _M.leave(ctx, before_retry)
    local server = ctx.balancer_server
    ctx.balancer_server = nil
    if not before_retry then
        return _M.forget(ctx)
    elseif not server then
        return
    end
    local tried = ctx.balancer_tried_servers
    if not tried then
        tried = tablepool.fetch("balancer_tried_servers", 0, 2)
        ctx.balancer_tried_servers = tried
    end
    tried[server] = true
    ctx.balancer_tried_servers_count = (ctx.balancer_tried_servers_count or 0) + 1
end

function _M.forget(ctx)
    if ctx.balancer_tried_servers then
        tablepool.release("balancer_tried_servers", ctx.balancer_tried_servers)
        ctx.balancer_tried_servers = nil
    end
end

-- The request goes over to the servers of the next priority.
function _M.begin_anew(ctx)
    _M.forget(ctx)
    ctx.balancer_tried_servers_count = 0
end

return _M
