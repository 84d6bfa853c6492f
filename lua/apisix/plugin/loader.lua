-- Owns the worker's plugin objects: which are loaded, in order of priority, and their life: init, destroy.
-- Must never look at a plugin's configuration on a route. Mirrors the loading half of apisix.plugin.
--
-- A plugin is the module "apisix.plugins.<name>" (the user's directories come first on package.path), or
-- an object of a source, which wins over a module of its name.
local bridge = require "server.bridge"
local core = require "apisix.core"
local wanted = require("server.hooks").wanted

local find = string.find
local ipairs = ipairs
local loaded = package.loaded
local pairs = pairs
local pcall = pcall
local remove = table.remove
local require = require
local sort = table.sort
local tostring = tostring
local type = type

local PREFIX = "apisix.plugins."

local sources = {}
local told = {} -- names of plugins that hooks have heard of

local _M = {
    plugins = {},      -- array, by descending priority; the same table for ever
    plugins_hash = {}, -- name -> object; likewise
    names = {},        -- those that load() was last asked for
    load_times = 0,    -- grows with every load: caches of anything made from plugins are keyed by it
}

-- Have source() asked at every load for further plugin objects: an array of tables like a plugin's
-- module, with a name.
function _M.add_source(source)
    sources[#sources + 1] = source
end

-- Run its destroy(); a failure is logged.
local function destroy(name, plugin)
    if type(plugin.destroy) ~= "function" then
        return
    end
    local ok, err = pcall(plugin.destroy)
    if not ok then
        core.log.error("failed to destroy plugin [", name, "] err: ", err)
    end
end

_M.destroy = destroy

local function unload_all()
    for name, plugin in pairs(_M.plugins_hash) do
        destroy(name, plugin)
        loaded[PREFIX .. name] = nil
    end
    core.table.clear(_M.plugins)
    core.table.clear(_M.plugins_hash)
end

-- What is wrong with the object, or nil.
local function find_fault(plugin)
    if type(plugin) ~= "table" then
        return " the module returned no table"
    elseif not plugin.priority then
        return ", missing field: priority"
    elseif not plugin.version then
        return " missing field: version"
    elseif type(plugin.schema) ~= "table" then
        return " schema field"
    end
    return nil
end

-- Let every plugin accept what the host understands under "_meta". Returns nil and a reason if it has its own.
local function inject_meta(schema)
    local injected = core.schema.plugin_injected_schema
    if schema["$comment"] == injected["$comment"] then
        return true
    end
    schema.properties = schema.properties or {}
    if schema.properties._meta then
        return nil, ": found forbidden '_meta' field in the schema"
    end
    schema.properties._meta = injected._meta
    schema["$comment"] = injected["$comment"]
    return true
end

local function start(plugin)
    if plugin.init then
        plugin.init()
    end
    if plugin.workflow_handler then
        plugin.workflow_handler()
    end
end

-- The plugin's table below plugin_attr in config.yaml, or nil.
local function plugin_attr(name)
    return core.table.try_read_attr(core.config.local_conf(), "plugin_attr", name)
end
_M.plugin_attr = plugin_attr

-- Make a module's table the plugin of that name, not started yet. Returns true, or nil and what is wrong with it.
function _M.prepare(name, plugin)
    local fault = find_fault(plugin)
    if not fault then
        local _
        _, fault = inject_meta(plugin.schema)
    end
    if fault then
        return nil, "invalid plugin [" .. name .. "]" .. fault
    end
    plugin.name = name
    plugin.attr = plugin_attr(name)
    return true
end

-- Run its init(). Returns true, or nil and an error.
function _M.start(plugin)
    local ok, err = pcall(start, plugin)
    if not ok then
        return nil, "failed to init plugin [" .. plugin.name .. "] err: " .. tostring(err)
    end
    return true
end

-- Let Python hooks know, where there are any.
local function tell_hooks(plugin)
    if not (wanted.pygw_plugin_loaded or wanted.pygw_plugin_reloaded) or plugin.is_broken then
        return
    end
    local name = plugin.name
    local language = plugin.is_python and "python" or "lua"
    bridge.call.plugin_loaded(name, plugin.version, plugin.priority, language, told[name] or false)
    told[name] = true
end

local function adopt(name, plugin)
    local ok, err = _M.prepare(name, plugin)
    if ok then
        ok, err = _M.start(plugin)
    end
    if not ok then
        core.log.error(err)
        return
    end
    _M.plugins_hash[name] = plugin
    core.table.insert(_M.plugins, plugin)
    tell_hooks(plugin)
end

local function from_sources()
    local found = {}
    for _, source in ipairs(sources) do
        for _, plugin in ipairs(source()) do
            found[plugin.name] = plugin
        end
    end
    return found
end

-- A module that fails to load leaves LuaJIT's mark behind, whose type reads as a number here, and whoever
-- requires it next is told of a loop instead of the cause. Let it be read again, its parts included.
local function forget_failures()
    for name, module in pairs(loaded) do
        local kind = type(module)
        if (kind == "userdata" or kind == "number") and find(name, "^apisix%.") then
            loaded[name] = nil
        end
    end
end

-- The module's table, or nil and an error.
function _M.read(name)
    local ok, plugin = pcall(require, PREFIX .. name)
    if not ok then
        forget_failures()
        return nil, "failed to load plugin [" .. name .. "] err: " .. tostring(plugin)
    end
    return plugin
end

local function load_module(name)
    local plugin, err = _M.read(name)
    if err then
        core.log.error(err)
        return
    end
    adopt(name, plugin)
end

local function runs_before(a, b)
    if a.priority == b.priority then
        return a.name < b.name
    end
    return a.priority > b.priority
end

local function publish()
    sort(_M.plugins, runs_before)
    _M.load_times = _M.load_times + 1
    core.log.info("load plugin times: ", _M.load_times)
end

-- Put plugin, prepared and started, in the place of the one of its name, or among the others.
function _M.replace(plugin)
    local before = _M.plugins_hash[plugin.name]
    for i = #_M.plugins, 1, -1 do
        if _M.plugins[i] == before then
            remove(_M.plugins, i)
        end
    end
    _M.plugins_hash[plugin.name] = plugin
    core.table.insert(_M.plugins, plugin)
    publish()
    tell_hooks(plugin)
end

-- Replace all plugins by those named (an array) and those of the sources. One that cannot be loaded is
-- logged and left out.
function _M.load(names)
    unload_all()
    _M.names = names
    local extra = from_sources()
    for name, plugin in pairs(extra) do
        adopt(name, plugin)
    end
    local seen = {}
    for _, name in ipairs(names) do
        if not seen[name] and not extra[name] then
            seen[name] = true
            load_module(name)
        end
    end
    publish()
end

-- Give every plugin its destroy().
function _M.unload()
    unload_all()
end

return _M
