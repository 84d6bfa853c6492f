-- Owns the running of global rules: all of them merged into one rule, whose plugins run in every phase
-- before the route's. Must never answer for where the rules come from.
local config_util = require "apisix.core.config_util"
local core = require "apisix.core"
local hooks = require "apisix.hooks"
local plan = require "apisix.plugin.plan"
local runner = require "apisix.plugin.runner"

local ngx = ngx
local pairs = pairs

local _M = {}

-- A plugin in two rules is in none: which one were right?
local function merge_plugins(rules)
    local plugins, seen = {}, {}
    for _, rule in config_util.iterate_values(rules) do
        for name, conf in pairs(rule.value and rule.value.plugins or {}) do
            if seen[name] then
                core.log.error("Found ", name, " configured across different global rules.",
                    " Removing it from execution list")
                plugins[name] = nil
            else
                plugins[name] = conf
                seen[name] = true
            end
        end
    end
    return plugins
end

local function merge(rules, version)
    local now = ngx.time()
    return {
        key = "/apisix/global_rules/dummy",
        value = { plugins = merge_plugins(rules), id = 1, created_time = now, updated_time = now },
        createdIndex = version,
        modifiedIndex = version,
    }
end

local merged, merged_from, merged_version

local function current(rules, version)
    if merged_from ~= rules or merged_version ~= version then
        merged, merged_from, merged_version = merge(rules, version), rules, version
    end
    return merged
end

-- The plan of the rules (the values of /global_rules and their conf_version) for the request's route, kept
-- in api_ctx.global_plugins.
local function plan_of(api_ctx, rule)
    local route = api_ctx.matched_route
    local plugins = route and route.value.plugins
    local found = plan.of_global(rule.value.plugins, plugins)
    api_ctx.global_plugins = found
    return found
end

-- Run one phase of the rules. Meanwhile conf_type, conf_version and conf_id are those of the merged rule.
local function run_global_rules(api_ctx, rules, version, phase)
    if not rules or #rules == 0 then
        return
    end
    local rule = current(rules, version)
    local found = plan_of(api_ctx, rule)
    if not found.by_phase[phase] then
        return
    end
    local conf_type, conf_version, conf_id = api_ctx.conf_type, api_ctx.conf_version, api_ctx.conf_id
    api_ctx.conf_type, api_ctx.conf_version, api_ctx.conf_id = "global_rule", version, 1
    if phase == "rewrite" then
        api_ctx.global_rules = rules
    end
    runner.run_plugin(phase, found, api_ctx)
    api_ctx.conf_type, api_ctx.conf_version, api_ctx.conf_id = conf_type, conf_version, conf_id
end

_M.run_global_rules = hooks.before(run_global_rules)

return _M
