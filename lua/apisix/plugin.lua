-- Owns the framework's public face to plugins and to the phases: require "apisix.plugin". The work is done
-- in apisix/plugin/. Mirrors apisix.plugin of APISIX, its stream half left out.
local check = require "apisix.plugin.check"
local core = require "apisix.core"
local encryption = require "apisix.plugin.encryption"
local globals = require "apisix.plugin.globals"
local loader = require "apisix.plugin.loader"
local merge = require "apisix.plugin.merge"
local plan = require "apisix.plugin.plan"
local reload = require "apisix.plugin.reload"
local runner = require "apisix.plugin.runner"
local trace = require "apisix.plugin.trace"

local crc32 = ngx.crc32_short
local error = error
local getmetatable = getmetatable
local ipairs = ipairs
local pairs = pairs
local setmetatable = setmetatable
local tostring = tostring

local _M = {
    version = 0.3,
    load_times = 0,
    plugins = loader.plugins,
    plugins_hash = loader.plugins_hash,
    plugin_attr = loader.plugin_attr,
    add_source = loader.add_source,
    check_schema = check.check_schema,
    plugin_checker = check.plugin_checker,
    enable_gde = encryption.enable_gde,
    encrypt_conf = encryption.encrypt_conf,
    decrypt_conf = encryption.decrypt_conf,
    process_encrypt_field = encryption.process_encrypt_field,
    merge_service_route = merge.merge_service_route,
    merge_consumer_route = merge.merge_consumer_route,
    run_plugin = runner.run_plugin,
    skip_plugin = runner.skip_plugin,
    lua_response_filter = runner.lua_response_filter,
    run_global_rules = globals.run_global_rules,
    trace_header = trace.header,
}

-- Names from config.yaml, or from an item of /plugins; nil when that item says nothing.
local function plugin_names(item)
    if not item then
        return core.config.local_conf(true).plugins
    end
    if not item.value then
        return nil
    end
    local names = {}
    for _, entry in ipairs(item.value) do
        if not entry.stream then
            core.table.insert(names, entry.name)
        end
    end
    return names
end

-- Load the plugins anew: those of config.yaml, or of item, the value of /plugins.
function _M.load(item)
    local names = plugin_names(item)
    if names then
        loader.load(names)
        _M.load_times = loader.load_times
    elseif not item then
        core.log.error("failed to read plugin list from local file")
    end
    return loader.plugins
end

-- The plan (see apisix.plugin.plan) of a route, merged or not: what run_plugin takes and ctx.plugins holds.
function _M.plan_of(route)
    return plan.of(route.value.plugins, route.added)
end

-- Append to plugins (a new array by default) the pairs plugin, configuration of conf.value.plugins in the
-- order of running, without those disabled. route_conf: conf is a global rule, this the request's route.
function _M.filter(_, conf, plugins, route_conf)
    plugins = plugins or {}
    local of_route = route_conf and route_conf.value.plugins
    local found = conf.value.plugins and plan.of_global(conf.value.plugins, of_route) or plan.EMPTY
    for i = 1, #found do
        core.table.insert(plugins, found[i])
    end
    return plugins
end

-- The item of /plugin_metadata of this plugin, or nil.
function _M.plugin_metadata(name)
    return _M.plugin_metadatas:get(name)
end

-- The loaded plugin object of this name, or nil.
function _M.get(name)
    return loader.plugins_hash[name]
end

-- name -> the given attributes of the plugin.
function _M.get_all(attrs)
    local all = {}
    for name, plugin in pairs(loader.plugins_hash) do
        all[name] = core.table.pick(plugin, attrs)
    end
    return all
end

-- A version of conf that depends on what it says alone, kept in conf._version.
function _M.conf_version(conf)
    if not conf._version then
        conf._version = tostring(crc32(core.json.stably_encode(conf)))
    end
    return conf._version
end

-- Let each configuration know, as _meta.parent, the object that it stands in: {resource_key,
-- resource_version}. It is read through a metatable, so it is never written or encoded.
function _M.set_plugins_meta_parent(plugins, parent)
    for _, conf in pairs(plugins or {}) do
        conf._meta = conf._meta or {}
        local found = { resource_key = parent.key, resource_version = tostring(parent.modifiedIndex) }
        local mt = getmetatable(conf._meta)
        if not mt then
            setmetatable(conf._meta, { __index = { parent = found } })
        elseif not conf._meta.parent then
            mt.__index = { parent = found }
        end
    end
end

local function new_config(key, opts)
    local object, err = core.config.new(key, opts)
    if not object then
        error("failed to create etcd instance for fetching " .. key .. " : " .. err)
    end
    return object
end

-- The list of config.yaml wins over one that was in the store before this worker began, unless there is
-- no Admin API here: then somebody else's administers this gateway too.
local function watch_plugins()
    local administered = core.table.try_read_attr(core.config.local_conf(), "apisix", "enable_admin")
    local began = false
    new_config("/plugins", {
        automatic = true,
        item_schema = core.schema.plugins,
        single_item = true,
        filter = function(item)
            if began then
                reload.run() -- the order to reload is for new code too
            end
            if began or not administered then
                _M.load(item)
            end
        end,
    })
    began = true
end

-- Load the plugins and watch /plugins and /plugin_metadata. Once per worker.
function _M.init_worker()
    _M.load()
    reload.init_worker(function()
        _M.load_times = loader.load_times
    end)
    watch_plugins()
    _M.plugin_metadatas = new_config("/plugin_metadata", {
        automatic = true,
        checker = check.check_metadata,
    })
end

-- Give every plugin its destroy().
function _M.exit_worker()
    loader.unload()
end

return _M
