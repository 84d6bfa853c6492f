-- Owns /services: what several routes have in common. Mirrors apisix.http.service.
local core = require "apisix.core"
local feed = require "apisix.http.feed"
local plugin = require "apisix.plugin"
local upstream = require "apisix.upstream"

local error = error
local find = string.find
local ipairs = ipairs
local lower = string.lower
local type = type

local services

local _M = { version = 0.2 }

-- Told to whoever routes: fn(service id), when a service came, changed or went.
local listeners = {}

function _M.on_change(fn)
    listeners[#listeners + 1] = fn
end

local function changed(item)
    for _, fn in ipairs(listeners) do
        fn(item.value.id)
    end
end

local changes = feed(changed, changed)

-- Is it the key of "/services/<id>/graphql_cost_decorations/<id>", which is below a service but is none?
function _M.is_graphql_cost_decoration_key(key)
    return key ~= nil and find(key, "/services/[^/]+/graphql_cost_decorations/") ~= nil
end

-- Without those.
function _M.filter_services_list(items)
    local list = {}
    for _, item in ipairs(items or {}) do
        if not (type(item) == "table" and _M.is_graphql_cost_decoration_key(item.key)) then
            core.table.insert(list, item)
        end
    end
    return list
end

-- The item of this id, or nil.
function _M.get(id)
    return services:get(id)
end

-- Returns all items and their version.
function _M.services()
    if not services then
        return nil, nil
    end
    return services.values, services.conf_version
end

-- Tell the listeners what has changed since the last call.
function _M.sync()
    if services then
        changes:sync(services)
    end
end

-- Host names have no case; requests' are in lower case.
local function lower_hosts(value)
    for i, host in ipairs(value.hosts or {}) do
        value.hosts[i] = lower(host)
    end
end

local function filter(item)
    if _M.is_graphql_cost_decoration_key(item.key) then
        return
    end
    item.has_domain = false
    if item.value then
        lower_hosts(item.value)
        plugin.set_plugins_meta_parent(item.value.plugins, item)
        upstream.filter_upstream(item.value.upstream, item)
    end
    changes:note(item)
end

local function check(value, key)
    if _M.is_graphql_cost_decoration_key(key) then
        return core.schema.check(core.schema.graphql_cost_decoration, value)
    end
    local ok, err = core.schema.check(core.schema.service, value)
    if not ok then
        return ok, err
    end
    return plugin.plugin_checker(value)
end

-- Begin to watch /services.
function _M.init_worker()
    local err
    services, err = core.config.new("/services", { automatic = true, checker = check, filter = filter })
    if not services then
        error("failed to create etcd instance for fetching /services: " .. err)
    end
end

return _M
