-- Owns consumers: who may be calling. /consumers holds consumers and, below them, their credentials; for
-- each authentication plugin there is an index of both by the attribute that the plugin looks them up
-- with. Must never authenticate. Mirrors apisix.consumer.
local core = require "apisix.core"
local duplicate_key = require "apisix.consumer.duplicates"
local lookup = require "apisix.consumer.lookup"
local plugin = require "apisix.plugin"

local error = error
local ipairs = ipairs
local match = string.match
local pairs = pairs
local setmetatable = setmetatable
local type = type

local CREDENTIAL = "/consumers/([^/]+)/credentials/([^/]+)$"
local WEAK = { __mode = "k" }

local consumers

local _M = { version = 0.3 }

-- ".../consumers/<name>/credentials/<id>" -> name, id; nil for the key of a consumer.
local function credential_of(key)
    if not key then
        return nil
    end
    return match(key, CREDENTIAL)
end

-- Without the credentials.
function _M.filter_consumers_list(items)
    local list = {}
    for _, item in ipairs(items) do
        if not (type(item) == "table" and credential_of(item.key)) then
            core.table.insert(list, item)
        end
    end
    return list
end

-- "/consumers/<name>/credentials/<id>" -> "/consumers/<name>"
function _M.get_consumer_key_from_credential_key(key)
    return "/consumers/" .. (match(key, "^/[^/]*/([^/]+)"))
end

local function describe(conf, owner, credential_id)
    local consumer = core.table.clone(owner.value)
    consumer.modifiedIndex = owner.modifiedIndex
    consumer.credential_id = credential_id
    consumer.custom_id = consumer.labels and consumer.labels.custom_id
    consumer.consumer_name = consumer.id
    consumer.auth_conf = conf
    return consumer
end

-- item -> plugin name -> consumer: the same table for as long as consumer and credential stay, as merged
-- routes are remembered by it. (No value here may hold its key: such a pair is never collected.)
local described = setmetatable({}, WEAK)

local function consumer_of(item, name, conf)
    local owner, credential_id = item, nil
    local owner_name, id = credential_of(item.key)
    if owner_name then
        owner, credential_id = consumers:get(owner_name), id
        if not owner or not owner.value then
            return nil, "failed to get the consumer for the credential, credential key: " .. item.key
        end
    end
    local of_item = described[item] or {}
    described[item] = of_item
    local consumer = of_item[name]
    if not consumer or consumer.modifiedIndex ~= owner.modifiedIndex then
        consumer = describe(conf, owner, credential_id)
        of_item[name] = consumer
    end
    return consumer
end

local function add_item(by_plugin, item)
    for name, conf in pairs(item.value.plugins or {}) do
        local object = plugin.get(name)
        if object and object.type == "auth" then
            local consumer, err = consumer_of(item, name, conf)
            if not consumer then
                core.log.error("failed to construct consumer data for plugin ", name, ": ", err)
            else
                local found = by_plugin[name]
                if not found then
                    found = { nodes = {}, len = 0, conf_version = consumers.conf_version }
                    by_plugin[name] = found
                end
                found.len = found.len + 1
                found.nodes[found.len] = consumer
            end
        end
    end
end

-- What follows from one version of /consumers and one set of loaded plugins.
local indexed = {}

local function index()
    if indexed.version ~= consumers.conf_version or indexed.load_times ~= plugin.load_times
        or indexed.values ~= consumers.values
    then
        local by_plugin = {}
        for _, item in ipairs(consumers.values or {}) do
            if type(item) == "table" then
                add_item(by_plugin, item)
            end
        end
        indexed = {
            version = consumers.conf_version, load_times = plugin.load_times, values = consumers.values,
            by_plugin = by_plugin,
        }
    end
    return indexed.by_plugin
end

-- The consumers that have the authentication plugin configured: {nodes = array, len, conf_version}, or nil.
function _M.plugin(plugin_name)
    return index()[plugin_name]
end
_M.consumers_conf = _M.plugin

-- Make consumer (a result of find_consumer) the one of this request, known to the upstream by headers.
-- conf: the second result of find_consumer.
function _M.attach_consumer(ctx, consumer, conf)
    ctx.consumer = consumer
    ctx.consumer_name = consumer.consumer_name
    ctx.consumer_group_id = consumer.group_id
    ctx.consumer_ver = conf.conf_version
    core.request.set_header(ctx, "X-Consumer-Username", consumer.username)
    core.request.set_header(ctx, "X-Credential-Identifier", consumer.credential_id)
    core.request.set_header(ctx, "X-Consumer-Custom-ID", consumer.custom_id)
end

-- Returns the consumers (no credentials) and the version of /consumers.
function _M.consumers()
    if not consumers then
        return nil, nil
    end
    return _M.filter_consumers_list(consumers.values), consumers.conf_version
end

-- Returns value -> consumer for an attribute of the plugin's consumer configuration. conf: the result of
-- plugin(plugin_name). May yield.
function _M.consumers_kv(_, conf, attribute)
    return lookup.by_attribute(conf, attribute)
end

-- The consumer whose configuration of this plugin has this value for attribute. Returns consumer (nil if
-- nobody's) and conf for attach_consumer; nil, nil, "Missing related consumer" if nobody uses the plugin.
function _M.find_consumer(plugin_name, attribute, value)
    local conf = _M.plugin(plugin_name)
    if not conf then
        return nil, nil, "Missing related consumer"
    end
    return _M.consumers_kv(plugin_name, conf, attribute)[value], conf
end

-- Is a credential in plugins (name -> configuration), which consumer_name is to have (its credential credential_id, if
-- given), another one's already, as far as this worker knows? Returns true if not, else nil, err.
function _M.check_duplicate_key(plugins, consumer_name, credential_id)
    if not plugins or not consumers then
        return true
    end
    return duplicate_key(_M.find_consumer, plugins, consumer_name, credential_id)
end

-- The consumer of this name, for requests without credentials. Returns as find_consumer, or nil, nil, err.
function _M.get_anonymous_consumer(name)
    local item = consumers:get(name)
    if not item or not item.value or not item.value.id or not item.modifiedIndex then
        return nil, nil, "failed to get anonymous consumer " .. name
    end
    local consumer = item.value
    consumer.consumer_name = consumer.id
    consumer.modifiedIndex = item.modifiedIndex
    return consumer, { conf_version = item.modifiedIndex }
end

local function check(value, key)
    local schema = credential_of(key) and core.schema.credential or core.schema.consumer
    local ok, err = core.schema.check(schema, value)
    if not ok then
        return ok, err
    end
    return plugin.plugin_checker(value, core.schema.TYPE_CONSUMER)
end

local function filter(item)
    if item.value and item.value.plugins then
        plugin.set_plugins_meta_parent(item.value.plugins, item)
    end
end

-- Begin to watch /consumers.
function _M.init_worker()
    local err
    consumers, err = core.config.new("/consumers", { automatic = true, checker = check, filter = filter })
    if not consumers then
        error("failed to create etcd instance for fetching consumers: " .. err)
    end
end

return _M
