-- Owns plans: the plugins of one object (route, merged route, global rules) made ready to run. A plan is
-- the flat array {plugin, conf, plugin, conf, …} that APISIX calls ctx.plugins, in the order of running,
-- with one such array per phase beside it. Made once per configuration, shared by all its requests, and
-- never changed: what a request costs does not depend on how many plugins are loaded or configured
-- elsewhere. Must never run a plugin.
local loader = require "apisix.plugin.loader"
local secrets = require "apisix.plugin.secrets"

local ipairs = ipairs
local pairs = pairs
local setmetatable = setmetatable
local sort = table.sort
local type = type

local PHASES = {
    "rewrite", "access", "before_proxy", "header_filter", "body_filter", "delayed_body_filter",
    "lua_body_filter", "log",
}

local _M = {}

-- Is the plugin switched off by _meta.disable?
function _M.is_disabled(conf)
    local meta = conf and conf._meta
    return type(meta) == "table" and meta.disable or false
end

local function by_priority(a, b)
    if a.priority == b.priority then
        return a.plugin.name < b.plugin.name
    end
    return a.priority > b.priority
end

-- One _meta.priority re-sorts them all; the others keep the priority of their code.
local function ordered(plugins)
    local items = {}
    for name, conf in pairs(plugins) do
        local plugin = loader.plugins_hash[name]
        if plugin and type(conf) == "table" and not _M.is_disabled(conf) then
            local meta = conf._meta
            local priority = meta and meta.priority or plugin.priority
            items[#items + 1] = { plugin = plugin, conf = conf, priority = priority }
        end
    end
    sort(items, by_priority)
    return items
end

local function push(plan, plugin, conf)
    local n = #plan
    plan[n + 1], plan[n + 2] = plugin, conf
    for i = 1, #PHASES do
        local phase = PHASES[i]
        if plugin[phase] then
            local list = plan.by_phase[phase] or {}
            plan.by_phase[phase] = list
            list[#list + 1] = plugin
            list[#list + 1] = conf
        end
    end
end

-- The rewrite phase of what a consumer added: the route's own plugins, and authentication, have run.
local function push_added(plan, plugin, conf, added)
    if added[plugin.name] and plugin.rewrite and plugin.type ~= "auth" then
        local list = plan.by_phase.rewrite_in_consumer or {}
        plan.by_phase.rewrite_in_consumer = list
        list[#list + 1] = plugin
        list[#list + 1] = conf
    end
end

local function build(plugins, added)
    local plan = { by_phase = {}, load_times = loader.load_times }
    for _, item in ipairs(ordered(plugins)) do
        push(plan, item.plugin, item.conf)
        if added then
            push_added(plan, item.plugin, item.conf, added)
        end
        plan.has_secrets = plan.has_secrets or secrets.has_refs(item.conf)
        plan.has_prefer_route = plan.has_prefer_route or item.plugin.run_policy == "prefer_route"
    end
    plan.filters_body = (plan.by_phase.body_filter or plan.by_phase.delayed_body_filter) ~= nil
    return plan
end

local EMPTY = build({})

-- A plan without some pairs, or with others in their place: map(plugin, conf) returns the conf to run
-- with, or nil to leave the plugin out.
local function derive(plan, added, map)
    local new = { by_phase = {}, load_times = plan.load_times }
    for i = 1, #plan, 2 do
        local conf = map(plan[i], plan[i + 1])
        if conf then
            push(new, plan[i], conf)
            if added then
                push_added(new, plan[i], conf, added)
            end
        end
    end
    new.filters_body = (new.by_phase.body_filter or new.by_phase.delayed_body_filter) ~= nil
    return new
end

-- The same plan for as long as no secret changes.
local function resolve(plan, added)
    local changed = not plan.resolved
    local confs = plan.resolved_confs or {}
    plan.resolved_confs = confs
    for i = 2, #plan, 2 do
        local conf = plan[i]
        local now = secrets.has_refs(conf) and secrets.resolve(conf) or conf
        changed = changed or confs[conf] ~= now
        confs[conf] = now
    end
    if changed then
        plan.resolved = derive(plan, added, function(_, conf)
            return confs[conf]
        end)
    end
    return plan.resolved
end

-- plugins map -> plan
local plans = setmetatable({}, { __mode = "k" })

local function stored(plugins, added)
    local plan = plans[plugins]
    if not plan or plan.load_times ~= loader.load_times then
        plan = build(plugins, added)
        plans[plugins] = plan
    end
    return plan
end

-- The plan of a map name -> configuration, known by the identity of the map. added: nil, or the set of
-- names that a consumer added to it (always the same for one map). May yield when there are secrets.
function _M.of(plugins, added)
    if not plugins then
        return EMPTY
    end
    local plan = stored(plugins, added)
    if plan.has_secrets then
        return resolve(plan, added)
    end
    return plan
end

local function prefers_route(plugin, route_plugins)
    if plugin.run_policy ~= "prefer_route" then
        return false
    end
    local conf = route_plugins[plugin.name]
    return conf ~= nil and not _M.is_disabled(conf)
end

-- The plan of global rules on a request whose route has route_plugins (or nil): without those plugins
-- that say run_policy "prefer_route" and are on the route too.
function _M.of_global(plugins, route_plugins)
    local plan = _M.of(plugins)
    if not route_plugins or not stored(plugins).has_prefer_route then
        return plan
    end
    local variants = plan.variants or setmetatable({}, { __mode = "k" })
    plan.variants = variants
    local variant = variants[route_plugins]
    if not variant then
        variant = derive(plan, nil, function(plugin, conf)
            return not prefers_route(plugin, route_plugins) and conf or nil
        end)
        variants[route_plugins] = variant
    end
    return variant
end

_M.EMPTY = EMPTY

return _M
