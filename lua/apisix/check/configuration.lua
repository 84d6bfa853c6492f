-- Owns the Lua side of the checking of a configuration (pygw/check/judge.py): an application that starts as a
-- worker does, with objects that hear of no item, and judges items by what those objects would ask of them.
-- Must never serve a request, nor read or watch the store.
local apisix = require "apisix"
local admin_check = require "apisix.admin.check"
local bridge = require "server.bridge"
local core = require "apisix.core"
local items = require "apisix.core.config_yaml.items"
local plugin = require "apisix.plugin"
local schemas = require "apisix.check.schemas"

local find = string.find
local ipairs = ipairs
local match = string.match
local ngx = ngx
local pairs = pairs
local pcall = pcall
local setmetatable = setmetatable
local tostring = tostring
local type = type
local xpcall = xpcall

-- What the Admin API asks of these beyond what a worker does, which finds it when a request comes.
local ASKED_FURTHER = { routes = true, services = true, credentials = true, plugin_metadata = true }

local objects = {} -- directory -> what a worker made to hold its items

local no_items = {
    get = function() end,
    read_stored = function()
        return {}
    end,
    close = function() end,
}
no_items.__index = no_items

local function new_object(key, opts)
    local object = setmetatable(opts or {}, no_items)
    if key then
        objects[key:sub(2)] = object
    end
    return object
end

local function plain(err)
    return match(tostring(err), "^[^\n]*")
end

-- Whether the items come from a file, in which whoever writes it means every word.
local function from_file()
    return core.config.type ~= "etcd"
end

local function kind_of(directory, key)
    return directory == "consumers" and find(key, "/credentials/", 1, true) and "credentials" or directory
end

local function further_fault(directory, item)
    local kind = kind_of(directory, item.key)
    if objects[directory] and not (ASKED_FURTHER[kind] and from_file()) then
        return nil
    end
    return admin_check(kind, match(item.key, "[^/]+$"), item.value)
end

local function fault(directory, item)
    local object = objects[directory]
    if object then
        local ran, ok, err = xpcall(items.check, plain, object, item)
        if not ran or not ok then
            return tostring(not ran and ok or err)
        end
    end
    local ran, err = pcall(further_fault, directory, item)
    return err and (ran and err or plain(err)) or nil
end

local function is_about_plugin(err)
    return find(err, "failed to check the configuration of plugin ", 1, true)
        or find(err, "unknown plugin [", 1, true) or find(err, "invalid plugin conf ", 1, true)
end

-- All that is wrong with an item: {message, plugin's name or nil}. One fault of a plugin hides those of others.
local function faults(directory, item)
    local err = fault(directory, item)
    if not err then
        return nil
    end
    local plugins = type(item.value) == "table" and item.value.plugins
    if type(plugins) ~= "table" then
        return { { err } }
    end
    local found = {}
    if not is_about_plugin(err) then
        found[1] = { err }
    end
    local schema_type = directory == "consumers" and core.schema.TYPE_CONSUMER or nil
    for name, conf in pairs(plugins) do
        local ran, ok, why = pcall(plugin.check_schema, { [name] = conf }, schema_type, not from_file())
        if not ran or not ok then
            found[#found + 1] = { tostring(ran and why or plain(ok)), tostring(name) }
        end
    end
    return found[1] and found or { { err } }
end

-- text: JSON of an array of {key, value}, all of a directory. Returns JSON: their numbers, from "1", with the
-- faults of those that have any.
local function judge(directory, text)
    local found = {}
    for i, item in ipairs(core.json.decode(text)) do
        found[tostring(i)] = faults(directory, item)
    end
    return core.json.encode(found)
end

local broken = {} -- Python plugin -> what is wrong with its schema

-- A worker would not start with the broken ones; here they are as good as not there.
local function set_broken_aside()
    local sound = {}
    for _, described in ipairs(bridge.call.python_plugins()) do
        local why = schemas.fault(core.json.decode(described.schema))
        broken[described.name] = why
        sound[#sound + 1] = not why and described or nil
    end
    bridge.call.python_plugins = function()
        return sound
    end
end

-- JSON: the directories that a worker reads, and the Python plugins that are broken.
local function describe()
    local directories = {}
    for name in pairs(objects) do
        directories[#directories + 1] = name
    end
    return core.json.encode({ directories = directories, broken = broken })
end

local function init()
    core.config.init, core.config.init_worker, core.config.started = nil, nil, nil -- they would read the store
    core.config.new = new_object
    core.config.fetch_created_obj = function(key)
        return objects[key:sub(2)]
    end
    core.id.init = function() end -- it would write the gateway's id beside the configuration
    return apisix.http_init()
end

local function init_worker()
    set_broken_aside()
    apisix.http_init_worker()
    bridge.entries.judge = judge
    bridge.entries.describe = describe
end

local function content()
    return ngx.exit(404)
end

return { init = init, init_worker = init_worker, content = content }
