-- Owns the checking of /plugin_metadata items. A plugin's metadata may be stored before the plugin is in
-- the list of loaded ones. Mirrors apisix.admin.plugin_metadata.
local core = require "apisix.core"
local plugin = require "apisix.plugin"

local match = string.match
local pcall = pcall
local require = require
local type = type

local ANYTHING = { type = "object", properties = {} }

local _M = {}

local function find(name)
    local object = plugin.get(name)
    if object then
        return object
    end
    local ok
    if match(name, "^[%w_-]+$") then
        ok, object = pcall(require, "apisix.plugins." .. name)
    end
    return ok and type(object) == "table" and object or nil
end

local function check(object, conf)
    local schema = object.metadata_schema
    if schema and object.check_schema then
        return object.check_schema(conf, core.schema.TYPE_METADATA)
    end
    return core.schema.check(schema or ANYTHING, conf)
end

-- Check the metadata of the plugin of this name. Returns nil, or the fault in words.
function _M.check(conf, name)
    local object = name and find(name)
    if not object then
        return name and "invalid plugin name" or "missing plugin name"
    end
    local ok, err = check(object, conf)
    return not ok and "invalid configuration: " .. err or nil
end

return _M
