-- Owns what Python plugins use of their worker beside requests: shared dictionaries, metrics, metadata. The other half
-- is pygw/extensions/services.py. Nothing here may wait: these are calls from Python, outside of any task.
local cjson = require "cjson.safe"
local entries = require("server.bridge").entries

local concat = table.concat
local error, pairs, type = error, pairs, type
local setmetatable, unpack = setmetatable, unpack

local function dict_of(name)
    local dict = ngx.shared[name]
    if not dict then
        error("there is no shared dictionary '" .. name .. "': declare it in config.yaml, nginx_config.http."
            .. "custom_lua_shared_dict", 0)
    end
    return dict
end

local operations = {}

function operations.get(dict, key)
    local value, err = dict:get(key)
    if err and type(err) == "string" then
        error(err, 0)
    end
    return value
end

function operations.set(dict, key, value, ttl)
    local ok, err = dict:set(key, value, ttl)
    if not ok then
        error(err, 0)
    end
end

function operations.add(dict, key, value, ttl)
    local ok, err = dict:add(key, value, ttl)
    if not ok and err ~= "exists" then
        error(err, 0)
    end
    return ok
end

function operations.incr(dict, key, by, init, ttl)
    local value, err
    if init then
        value, err = dict:incr(key, by, init, ttl)
    else
        value, err = dict:incr(key, by)
    end
    if not value and err ~= "not found" then
        error(err, 0)
    end
    return value
end

function operations.delete(dict, key)
    dict:delete(key)
end

function operations.ttl(dict, key)
    return (dict:ttl(key))
end

-- An operation on a shared dictionary: its name here, what the operation takes.
function entries.python_shared(name, operation, key, ...)
    return operations[operation](dict_of(name), key, ...)
end

-- registry -> what it is called -> metric
local made = setmetatable({}, { __mode = "k" })

local function make(registry, kind, name, help, labels, buckets)
    local known = registry.registry[name] -- a Lua plugin's
    if known then
        return known
    end
    return registry[kind](registry, name, help, labels, kind == "histogram" and buckets[1] and buckets or nil)
end

local function registry_now()
    local plugin = require "apisix.plugin"
    if not plugin.get("prometheus") then
        return nil
    end
    return require("apisix.plugins.prometheus.exporter").get_prometheus()
end

-- An operation on a metric: {kind, name, help, labels, buckets}; nothing when there is no endpoint for it.
function entries.python_metric(described, operation, value, labels)
    local registry = registry_now()
    if not registry then
        return
    end
    local metrics = made[registry] or {}
    made[registry] = metrics
    local kind, name = described[1], described[2]
    local metric = metrics[name]
    if not metric then
        metric = make(registry, unpack(described, 1, 5))
        metrics[name] = metric
    end
    if not (metric and metric[operation]) then
        error("the metric " .. name .. " cannot be a " .. kind .. ": there is another of that name, or the names of"
            .. " its labels (" .. concat(described[4], ", ") .. ") are not allowed", 0)
    end
    metric[operation](metric, value, labels)
end

-- The metadata of a plugin: its version, and unless that is `known`, its value as JSON. nil without one.
function entries.python_metadata(name, known)
    local metadatas = require("apisix.plugin").plugin_metadatas
    local item = metadatas and metadatas:get(name)
    if not (item and item.value) then
        return nil
    end
    local version = item.modifiedIndex or 0
    if version == known then
        return version
    end
    local value = {}
    for key, each in pairs(item.value) do
        value[key] = key ~= "id" and each or nil
    end
    return version, cjson.encode(value)
end
