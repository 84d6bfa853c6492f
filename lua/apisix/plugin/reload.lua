-- Owns the loading of plugins whose files have changed, while requests run. The new code of a plugin takes the place
-- of the old one when it loads, is a valid plugin, and accepts every configuration in use; or else the old one
-- stays, and the log says why. Requests under way end with the code that they began with; timers of the
-- old code end (see ngx.api.timer). Must never lose a configuration.
local bridge = require "server.bridge"
local core = require "apisix.core"
local loader = require "apisix.plugin.loader"
local modules = require "server.modules"
local usage = require "apisix.plugin.usage"

local concat = table.concat
local exiting = ngx.worker.exiting
local ipairs = ipairs
local match = string.match
local next = next
local pairs = pairs
local pcall = pcall
local require = require
local sort = table.sort
local timer_at = ngx.timer.at

local PREFIX = "apisix.plugins."
local WAIT = 60 -- seconds of one wait for a change

local _M = { on_done = function() end }

-- Modules of the framework hold the worker's state: they stay as they are.
local function may_change(name)
    return match(name, "^apisix%.plugins%.") ~= nil or not match(name, "^apisix%f[.%z]")
end

local function find_changed()
    local changed = {}
    for name in pairs(modules.records) do
        if may_change(name) and modules.is_changed(name) then
            changed[name] = true
        end
    end
    return changed
end

-- The set with all that requires one of it, however far.
local function with_dependents(set)
    local found, grows = core.table.clone(set), true
    while grows do
        grows = false
        for name, record in pairs(modules.records) do
            for need in pairs(not found[name] and may_change(name) and record.needs or {}) do
                if found[need] then
                    found[name], grows = true, true
                end
            end
        end
    end
    return found
end

-- Those of the set that the module stands on, itself included.
local function part_of(name, set, found)
    found = found or {}
    if set[name] and not found[name] then
        found[name] = true
        for need in pairs(modules.records[name] and modules.records[name].needs or {}) do
            part_of(need, set, found)
        end
    end
    return found
end

local function plugins_of(set)
    local names = {}
    for name in pairs(set) do
        local plugin = match(name, "^apisix%.plugins%.(.+)$")
        if plugin and loader.plugins_hash[plugin] then
            names[#names + 1] = plugin
        end
    end
    sort(names)
    return names
end

-- The new code of a plugin, prepared, with the configurations in use accepted. Or nil and why not.
local function try(name, used)
    local plugin, err = loader.read(name)
    if err then
        return nil, err
    end
    local ok
    ok, err = loader.prepare(name, plugin)
    if not ok then
        return nil, err
    end
    local old = loader.plugins_hash[name]
    loader.plugins_hash[name] = plugin
    local ran, reason
    ran, ok, reason = pcall(usage.check, used)
    loader.plugins_hash[name] = old
    if not (ran and ok) then
        return nil, ran and reason or ok
    end
    return plugin
end

-- Let the new plugin begin in the place of the old one. Returns true, or nil and an error: then the old one goes on.
local function take_over(plugin)
    local old = loader.plugins_hash[plugin.name]
    loader.destroy(plugin.name, old)
    local ok, err = loader.start(plugin)
    if not ok then
        loader.start(old)
        return nil, err
    end
    loader.replace(plugin)
    return true
end

-- Load the plugins' new code. Returns name -> plugin of what loaded, and the set of modules to be put back.
local function try_all(names, used, set)
    local new, stays = {}, {}
    for _, name in ipairs(names) do
        local plugin, err = try(name, used[name])
        if plugin then
            new[name] = plugin
        else
            core.log.error("plugin [", name, "] is not reloaded, the old code stays: ", err)
            for part in pairs(part_of(PREFIX .. name, set)) do
                stays[part] = true
            end
        end
    end
    for name in pairs(new) do -- what one that loaded stands on is new
        for part in pairs(part_of(PREFIX .. name, set)) do
            stays[part] = nil
        end
    end
    return new, stays
end

-- Modules that no plugin asked for while it loaded are asked for later: they must load, too.
local function load_rest(set, old)
    for name in pairs(set) do
        if not modules.records[name] and old[name].record then
            local ok, err = pcall(require, name)
            if not ok then
                core.log.error("module ", name, " is not reloaded, the old code stays: ", err)
                modules.restore(old, { [name] = true })
            end
        end
    end
end

local function files_of(set)
    local files = {}
    for name in pairs(set) do
        files[#files + 1] = modules.records[name].file
    end
    sort(files)
    return concat(files, ", ")
end

-- Plugins of the list that could not be loaded so far: whatever has changed may have mended them.
local function load_missing()
    for _, name in ipairs(loader.names) do
        if not loader.plugins_hash[name] then
            local plugin, err = loader.read(name)
            local ok = plugin and true
            if ok then
                ok, err = loader.prepare(name, plugin)
            end
            if ok then
                ok, err = loader.start(plugin)
            end
            if ok then
                loader.replace(plugin)
                core.log.warn("plugin [", name, "] is loaded")
            else
                core.log.error(err)
            end
        end
    end
end

local function replace_all(names, used, set, what)
    local old = modules.forget(set)
    local new, stays = try_all(names, used, set)
    for _, name in ipairs(names) do
        if new[name] then
            local ok, err = take_over(new[name])
            if ok then
                core.log.warn("plugin [", name, "] is reloaded, changed: ", what)
            else
                core.log.error("plugin [", name, "] is not reloaded, the old code goes on: ", err)
                stays[PREFIX .. name], new[name] = true, nil
            end
        end
    end
    modules.restore(old, stays)
    load_rest(set, old)
    modules.replaced()
    return new
end

-- Reload the plugins whose files, or what those require, have changed since they were loaded. Yields when
-- configurations have to be read again.
function _M.run()
    local changed = find_changed()
    if next(changed) then
        local set = with_dependents(changed)
        local names = plugins_of(set)
        local used = usage.of(names)
        for name in pairs(replace_all(names, used, set, files_of(changed))) do
            usage.take_again(used[name])
        end
    end
    load_missing()
    return _M.on_done()
end

-- Where the files are that plugins come from, one directory in a line.
local function directories()
    local found = {}
    for _, record in pairs(modules.records) do
        found[match(record.file, "^(.*)/") or "."] = true
    end
    local list = {}
    for directory in pairs(found) do
        list[#list + 1] = directory
    end
    return concat(list, "\n")
end

_M.directories = directories

local seen = 0

local function follow(premature)
    if premature then
        return
    end
    local version, err = bridge.await.plugin_files_wait(directories(), seen, WAIT)
    if err then
        core.log.error("plugin files are not watched any more: ", err)
        return
    end
    if version and not exiting() then
        seen = version
        _M.run()
    end
    if not exiting() then
        timer_at(0, follow)
    end
end

-- Follow the files from now on, if config.yaml says pygw.watch_plugins. on_done() is called after plugins
-- have been replaced.
function _M.init_worker(on_done)
    _M.on_done = on_done
    if core.table.try_read_attr(core.config.local_conf(), "pygw", "watch_plugins") then
        timer_at(0, follow)
    end
end

return _M
