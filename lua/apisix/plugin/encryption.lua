-- Owns which fields of a plugin's configuration are secret (encrypt_fields of its schemas) and their way to the
-- store, encrypted, and back. Must never know a cipher, nor log a value. Mirrors the part of apisix.plugin that
-- does this.
local core = require "apisix.core"
local data_encryption = require "apisix.core.data_encryption"
local loader = require "apisix.plugin.loader"

local find = string.find
local ipairs = ipairs
local pairs = pairs
local sub = string.sub
local type = type

local HINT = ". This can happen after upgrading if the field was recently added to encrypt_fields; if the value was "
    .. "encrypted, verify the data_encryption keyring. Re-save the configuration via the Admin API to resolve."

local _M = {}

local enabled

-- Are fields encrypted? They are in a store; a configuration file is its author's own.
function _M.enable_gde()
    if enabled == nil then
        local wanted = core.table.try_read_attr(core.config.local_conf(), "apisix", "data_encryption",
            "enable_encrypt_fields")
        enabled = wanted and core.config.type == "etcd" or false
    end
    return enabled
end

-- Put operation(tab[key]) there; name: of the key in log lines.
local function replace(tab, key, name, operation, plugin_name, op_name)
    local result, err = operation(tab[key])
    if result then
        tab[key] = result
    elseif op_name == "decrypt" then
        core.log.info("failed to decrypt the conf of plugin [", plugin_name, "] key [", name, ", err: ", err, HINT)
    else
        core.log.warn("failed to ", op_name, " the conf of plugin [", plugin_name, "] key [", name, ", err: ", err)
    end
end

-- Apply operation(text) -> text or nil, err to what stands at path ("a.b.c"; arrays on the way: in each element)
-- of conf, in place: a string, or the strings of an array or a map. op_name: "encrypt" or "decrypt", for the log.
function _M.process_encrypt_field(conf, path, operation, plugin_name, op_name)
    local dot = find(path, ".", 1, true)
    local name = dot and sub(path, 1, dot - 1) or path
    local value = conf[name]
    if dot == nil and type(value) == "string" then
        return replace(conf, name, name .. "]", operation, plugin_name, op_name)
    elseif type(value) ~= "table" then
        return
    end
    local is_array = core.table.isarray(value)
    if dot and not is_array then
        return _M.process_encrypt_field(value, sub(path, dot + 1), operation, plugin_name, op_name)
    end
    for key, item in pairs(value) do
        if dot and type(item) == "table" then
            _M.process_encrypt_field(item, sub(path, dot + 1), operation, plugin_name, op_name)
        elseif not dot and type(item) == "string" then
            local shown = is_array and name .. "] index [" .. key .. "]" or name .. "." .. key .. "]"
            replace(value, key, shown, operation, plugin_name, op_name)
        end
    end
end

-- A plugin without a schema for consumers has its other one there.
local function schema_of(plugin, schema_type)
    if schema_type == core.schema.TYPE_CONSUMER then
        return plugin.consumer_schema or plugin.schema
    elseif schema_type == core.schema.TYPE_METADATA then
        return plugin.metadata_schema
    end
    return plugin.schema
end

local function process(name, conf, schema_type, operation, op_name)
    if not _M.enable_gde() then
        return
    end
    local plugin = loader.plugins_hash[name]
    local schema = plugin and schema_of(plugin, schema_type)
    if not schema then
        core.log.warn("failed to get schema for plugin: ", name)
        return
    end
    for _, path in ipairs(schema.encrypt_fields or {}) do
        _M.process_encrypt_field(conf, path, operation, name, op_name)
    end
end

-- Encrypt, in place, the secret fields of a configuration of the plugin of this name. schema_type: nil,
-- core.schema.TYPE_CONSUMER or TYPE_METADATA.
function _M.encrypt_conf(name, conf, schema_type)
    process(name, conf, schema_type, data_encryption.encrypt, "encrypt")
end

-- The way back. What cannot be decrypted stays as it is: it may have been stored before its field was secret.
function _M.decrypt_conf(name, conf, schema_type)
    process(name, conf, schema_type, data_encryption.decrypt, "decrypt")
end

-- encrypt_conf() or decrypt_conf() for a map name -> configuration; what is no table is left to the checks.
function _M.each(plugins, apply, schema_type)
    for name, conf in pairs(type(plugins) == "table" and plugins or {}) do
        if type(conf) == "table" and loader.plugins_hash[name] then
            apply(name, conf, schema_type)
        end
    end
end

return _M
