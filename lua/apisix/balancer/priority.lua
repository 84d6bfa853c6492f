-- Owns the picking among groups of nodes: a group of lower priority is asked only when all servers of the
-- higher ones have been tried. Mirrors apisix.balancer.priority.
local core = require "apisix.core"

local ipairs = ipairs
local sort = table.sort

local _M = {}

local function higher(a, b)
    return a > b
end

-- up_nodes: priority -> ("host:port" -> weight), and _priority_index: array of the priorities; picker_mod: the
-- balancer to use inside each group. Returns a picker as apisix.balancer.roundrobin does, or nil, err.
function _M.new(up_nodes, upstream, picker_mod)
    local priorities = up_nodes._priority_index
    sort(priorities, higher)
    local pickers = {}
    for i, priority in ipairs(priorities) do
        local picker, err = picker_mod.new(up_nodes[priority], upstream, priority)
        if not picker then
            return nil, "failed to create picker with priority " .. priority .. ": " .. err
        end
        if not picker.before_retry_next_priority then
            return nil, "picker should define 'before_retry_next_priority' to reset ctx"
        end
        pickers[i] = picker
    end

    local function get(ctx)
        for i = ctx.priority_balancer_picker_idx or 1, #pickers do
            local server, err = pickers[i].get(ctx)
            if server then
                ctx.priority_balancer_picker_idx = i
                return server
            end
            core.log.notice("failed to get server from current priority ", priorities[i],
                ", try next one, err: ", err)
            pickers[i].before_retry_next_priority(ctx)
        end
        return nil, "all servers tried"
    end

    local function after_balance(ctx, before_retry)
        local picker = pickers[ctx.priority_balancer_picker_idx]
        if picker and picker.after_balance then
            picker.after_balance(ctx, before_retry)
        end
    end

    return { upstream = upstream, get = get, after_balance = after_balance }
end

return _M
