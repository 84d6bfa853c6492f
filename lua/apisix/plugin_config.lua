-- Owns /plugin_configs: sets of plugins that several routes share. Mirrors apisix.plugin_config.
local core = require "apisix.core"

local pairs = pairs
local setmetatable = setmetatable

local items = require("apisix.plugin.collection")("/plugin_configs", "plugin_config")

local _M = {}

function _M.init_worker()
    items:init_worker()
end

-- Returns all items and their version.
function _M.plugin_configs()
    return items:all()
end

-- The item of this id, or nil.
function _M.get(id)
    return items:get(id)
end

-- route -> {the plugin config merged into it, the result}
local merged = setmetatable({}, { __mode = "k" })

local function merge(route, config)
    local copy = core.table.clone(route)
    copy.value = core.table.clone(route.value)
    local plugins = core.table.clone(route.value.plugins or {})
    for name, conf in pairs(config.value.plugins) do
        if not plugins[name] then
            plugins[name] = conf
        end
    end
    copy.value.plugins = plugins
    copy.modifiedIndex = route.modifiedIndex .. "#" .. config.modifiedIndex
    return copy
end

-- The route with the plugins of the item config that it does not have itself; modifiedIndex becomes
-- "<route's>#<config's>". The same table for as long as neither changes.
function _M.merge(route, config)
    local known = merged[route]
    if not known or known.config ~= config then
        known = { config = config, route = merge(route, config) }
        merged[route] = known
    end
    return known.route
end

return _M
