-- Owns the merging of configurations: a service with a route, a route with a consumer (and its group).
-- Merged objects are copies as shallow as can be (plugin configurations and upstreams stay the same
-- tables, as plugins and balancers keep state by them), made once per pair and remembered as long as both
-- live. Must never change what it merges.
local core = require "apisix.core"

local next = next
local pairs = pairs
local setmetatable = setmetatable

local WEAK = { __mode = "k" }

local _M = {}

-- first -> second -> made
local function memo(store, first, second)
    local inner = store[first]
    if not inner then
        inner = setmetatable({}, WEAK)
        store[first] = inner
    end
    return inner[second], inner
end

local function copy_of(item)
    local copy = core.table.clone(item)
    copy.value = core.table.clone(item.value)
    copy.value.plugins = item.value.plugins and core.table.clone(item.value.plugins) or nil
    return copy
end

local function override(value, plugins)
    if not plugins then
        return
    end
    value.plugins = value.plugins or {}
    for name, conf in pairs(plugins) do
        value.plugins[name] = conf
    end
end

-- What a route says wins over its service; a name is the route's own or none.
local function take_upstream(merged, route)
    local value, of_route = merged.value, route.value
    if of_route.upstream then
        value.upstream = of_route.upstream
        value.upstream_id = nil
        merged.has_domain = route.has_domain
    end
    if of_route.upstream_id then
        value.upstream_id = of_route.upstream_id
        merged.has_domain = route.has_domain
    end
end

local function service_with_route(service, route)
    local merged = copy_of(service)
    local value, of_route = merged.value, route.value
    value.service_id = value.id
    value.id = of_route.id
    merged.modifiedIndex = route.modifiedIndex
    override(value, of_route.plugins)
    take_upstream(merged, route)
    value.script = of_route.script or value.script
    value.timeout = of_route.timeout or value.timeout
    value.name = of_route.name
    value.hosts = of_route.hosts or value.hosts
    if not value.hosts and of_route.host then
        value.host = of_route.host
    end
    value.labels = of_route.labels or value.labels
    if of_route.enable_websocket ~= nil then
        value.enable_websocket = of_route.enable_websocket
    end
    return merged
end

local services = setmetatable({}, WEAK)

-- The route as it runs below service: plugins of both (the route's win), the rest likewise.
-- Returns the merged item, and a record for the identity that plugins see: version "r&s", id "r&s".
function _M.merge_service_route(service, route)
    local made, inner = memo(services, service, route)
    if not made then
        made = {
            item = service_with_route(service, route),
            version = route.modifiedIndex .. "&" .. service.modifiedIndex,
            id = route.value.id .. "&" .. service.value.id,
        }
        inner[route] = made
    end
    return made.item, made
end

local function has_plugins(value)
    return value ~= nil and value.plugins ~= nil and next(value.plugins) ~= nil
end

local function add_plugins(merged, plugins)
    for name, conf in pairs(plugins) do
        if merged.value.plugins[name] == nil then
            merged.added[name] = true
        end
        merged.value.plugins[name] = conf
    end
end

local function route_with_consumer(route, consumer, group)
    local merged = copy_of(route)
    merged.value.plugins = merged.value.plugins or {}
    merged.added = {} -- names that the route itself has not
    if has_plugins(group and group.value) then
        add_plugins(merged, group.value.plugins)
    end
    if has_plugins(consumer) then
        add_plugins(merged, consumer.plugins)
    end
    return merged
end

local consumers = setmetatable({}, WEAK)
local NO_GROUP = {}

local function find_merged(route, consumer, group)
    local _, by_consumer = memo(consumers, route, consumer)
    local made, inner = memo(by_consumer, consumer, group or NO_GROUP)
    if not made then
        made = route_with_consumer(route, consumer, group)
        inner[group or NO_GROUP] = made
    end
    return made
end

local function identify(ctx, group)
    ctx.conf_type = ctx.conf_type .. "&consumer"
    ctx.conf_version = ctx.conf_version .. "&" .. ctx.consumer_ver
    ctx.conf_id = ctx.conf_id .. "&" .. ctx.consumer_name
    if group then
        ctx.conf_type = ctx.conf_type .. "&consumer_group"
        ctx.conf_version = ctx.conf_version .. "&" .. group.modifiedIndex
        ctx.conf_id = ctx.conf_id .. "&" .. group.value.id
    end
end

-- The route as it runs for the consumer of api_ctx: the plugins of its group, then its own, win by name.
-- consumer: a consumer's value; group: the item of its group or nil. Extends conf_type, conf_version and
-- conf_id of api_ctx. Returns the merged item (its .added is the set of plugins that the route has not),
-- and whether it differs from route.
function _M.merge_consumer_route(route, consumer, group, api_ctx)
    local merged = route
    if has_plugins(consumer) or has_plugins(group and group.value) then
        merged = find_merged(route, consumer, group)
    end
    identify(api_ctx, group)
    return merged, merged ~= route
end

return _M
