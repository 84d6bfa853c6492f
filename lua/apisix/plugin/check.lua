-- Owns the checking of plugin configurations against the plugins' own schemas, for every resource that
-- carries plugins. Must never keep a configuration.
local core = require "apisix.core"
local encryption = require "apisix.plugin.encryption"
local loader = require "apisix.plugin.loader"
local meta_fields = require "apisix.plugin.meta"
local plan = require "apisix.plugin.plan"

local match = string.match
local null = ngx.null
local pairs = pairs
local tostring = tostring
local type = type

local _M = {}

-- What a plugin that is not loaded means: an error, a warning, or nothing.
local function check_absent(name, mode)
    if mode == "ignore" then
        return true
    elseif mode == "warn" then
        core.log.warn("skipping check schema for disabled or unknown plugin [", name,
            "]. Enable the plugin or modify configuration")
        return true
    end
    return false, "unknown plugin [" .. name .. "]"
end

local function check_one(name, conf, schema_type, absent)
    if type(conf) ~= "table" then
        return false, "invalid plugin conf " .. core.json.encode(conf, true) .. " for plugin ["
            .. tostring(name) .. "]"
    end
    local plugin = loader.plugins_hash[name]
    if not plugin then
        return check_absent(name, absent)
    end
    if not plugin.check_schema then
        return true
    end
    local ok, err = plugin.check_schema(conf, schema_type)
    if not ok then
        if plan.is_disabled(conf) ~= true then
            return false, "failed to check the configuration of plugin " .. name .. " err: " .. tostring(err)
        end
        core.log.warn("failed to check the configuration of disabled plugin ", name, ", accepting it anyway")
    end
    if conf._meta then
        return meta_fields.check(name, conf._meta)
    end
    return true
end

-- Check a map name -> configuration; defaults are filled in. schema_type: nil, core.schema.TYPE_CONSUMER
-- or TYPE_METADATA; skip_unknown: a plugin that is not loaded is warned of, not refused.
-- Returns true, or false and the first fault.
function _M.check_schema(plugins, schema_type, skip_unknown)
    for name, conf in pairs(plugins) do
        local ok, err = check_one(name, conf, schema_type, skip_unknown and "warn" or "refuse")
        if not ok then
            return false, err
        end
    end
    return true
end

-- YAML says `key-auth:` of a plugin that has nothing to say.
local function fill_empty(plugins)
    for name, conf in pairs(plugins) do
        if conf == null then
            plugins[name] = {}
        end
    end
end

-- The checker of resources that carry plugins; their secret fields are decrypted first. In a configuration file
-- an unknown plugin is an error; in a store shared with others it is theirs.
function _M.plugin_checker(item, schema_type)
    if not item.plugins then
        return true
    end
    if type(schema_type) ~= "number" then
        schema_type = nil -- as a checker it is called with the key
    end
    if core.config.type == "yaml" then
        fill_empty(item.plugins)
    end
    encryption.each(item.plugins, encryption.decrypt_conf, schema_type)
    local from_file = core.config.type == "yaml" or core.config.type == "json"
    return _M.check_schema(item.plugins, schema_type, not from_file)
end

-- The checker of /plugin_metadata: what belongs to a plugin that is not loaded has no effect anyway.
function _M.check_metadata(value, key)
    local name = match(key, "[^/]+$")
    encryption.each({ [name] = value }, encryption.decrypt_conf, core.schema.TYPE_METADATA)
    return check_one(name, value, core.schema.TYPE_METADATA, "ignore")
end

return _M
