-- Owns which texts of a resource are encrypted in the store, for the Admin API: it says where they stand and what to
-- put there, so that the rest of a document never passes through Lua. Must never store anything.
-- Mirrors the encrypt_conf functions of apisix.admin.
local core = require "apisix.core"
local data_encryption = require "apisix.core.data_encryption"
local encryption = require "apisix.plugin.encryption"
local ssl = require "apisix.ssl"

local pairs = pairs
local setmetatable = setmetatable
local type = type

local TYPES = {
    consumers = core.schema.TYPE_CONSUMER,
    credentials = core.schema.TYPE_CONSUMER,
}

-- Append to out {path, new text} for each text that is another one in after. An array's index is from 0.
local function differences(before, after, path, out)
    for key, value in pairs(after) do
        local old = before[key]
        if old ~= value then
            local here = core.table.clone(path)
            core.table.insert(here, type(key) == "number" and key - 1 or key)
            if type(value) == "table" then
                differences(old, value, here, out)
            else
                core.table.insert(out, { here, value })
            end
        end
    end
    return out
end

local function process_plugins(resource, id, conf, apply)
    if resource == "plugin_metadata" then
        encryption.each({ [id] = conf }, apply, core.schema.TYPE_METADATA)
    else
        encryption.each(conf.plugins, apply, TYPES[resource])
    end
end

local function encrypt_key(tab, name)
    if type(tab) == "table" and type(tab[name]) == "string" then
        tab[name] = ssl.aes_encrypt_pkey(tab[name])
    end
end

-- The private keys of a resource; the Admin API never shows them plain again.
local function encrypt_keys(resource, conf)
    if resource == "upstreams" then
        encrypt_key(conf.tls, "client_key")
    elseif type(conf.upstream) == "table" then
        encrypt_key(conf.upstream.tls, "client_key")
    elseif resource == "ssls" then
        encrypt_key(conf, "key")
        for i in pairs(type(conf.keys) == "table" and conf.keys or {}) do
            encrypt_key(conf.keys, i)
        end
    end
end

local function changes(resource, id, text, apply, keys)
    local before, after = core.json.decode(text), core.json.decode(text)
    process_plugins(resource, id, after, apply)
    if keys then
        keys(resource, after)
    end
    return core.json.encode(setmetatable(differences(before, after, {}, {}), core.json.array_mt))
end

local _M = {}

-- Is anything encrypted here at all?
function _M.has_secrecy()
    return data_encryption.has_keyring()
end

-- What to change in text, an item of a directory such as "routes" that has been checked, before it is stored: JSON,
-- an array of {path, text}. id: of plugin_metadata, the plugin's name.
function _M.sealed(resource, id, text)
    return changes(resource, id, text, encryption.encrypt_conf, encrypt_keys)
end

-- The same for what was stored, to show it.
function _M.opened(resource, id, text)
    return changes(resource, id, text, encryption.decrypt_conf)
end

return _M
