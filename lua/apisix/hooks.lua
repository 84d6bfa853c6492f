-- Owns the request phases of Python hooks (pygw/extensions/hook_phases.py): they run before the global rules' plugins
-- of their phase, as one plugin more. Who wraps a function here gets the function itself back when no hook wants its
-- phase, so that requests pay nothing.
local cjson = require "cjson.safe"
local core = require "apisix.core"
local runner = require "apisix.plugin.runner"
local wanted = require("server.hooks").wanted

local next = next
local run_plugin = runner.run_plugin

local PHASES = { "rewrite", "access", "before_proxy", "header_filter", "log", "upstream_picked" }

local _M = {}

-- phase -> {plugin, conf}, of those that somebody implements.
local function plan()
    local phases, by_phase = {}, {}
    for _, phase in ipairs(PHASES) do
        if wanted["pygw_" .. phase] then
            phases[#phases + 1] = phase
        end
    end
    if not phases[1] then
        return nil
    end
    local plugin, conf = { name = "pygw hooks" }, {}
    require("server.python_plugins").add_phases(plugin, phases)
    for _, phase in ipairs(phases) do
        by_phase[phase] = { plugin, conf }
    end
    return { by_phase = by_phase }
end

local hooks = plan()
local by_phase = hooks and hooks.by_phase

-- run_global_rules(api_ctx, rules, version, phase), with the hooks before it.
function _M.before(run_global_rules)
    if not by_phase or next(by_phase) == "upstream_picked" and not next(by_phase, "upstream_picked") then
        return run_global_rules
    end
    return function(api_ctx, rules, version, phase)
        if by_phase[phase] then
            run_plugin(phase, hooks, api_ctx)
        end
        return run_global_rules(api_ctx, rules, version, phase)
    end
end

-- run(route, ctx, run_plugins) of the balancer phase, which has chosen a server when it returns; the hook after it.
function _M.after_pick(run)
    if not (by_phase and by_phase.upstream_picked) then
        return run
    end
    core.ctx.register_var("pygw_upstream_picked", function(ctx)
        return cjson.encode({ ctx.balancer_ip, ctx.balancer_port, ctx.route_id or "", ctx._hook_tries })
    end, { no_cacheable = true })
    return function(route, ctx, run_plugins)
        run(route, ctx, run_plugins)
        ctx._hook_tries = (ctx._hook_tries or 0) + 1
        run_plugin("upstream_picked", hooks, ctx)
    end
end

return _M
