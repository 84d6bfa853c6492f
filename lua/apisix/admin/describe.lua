-- Owns what can be asked about schemas and plugins, as JSON. Must never check a resource.
-- Mirrors apisix.admin.schema and apisix.admin.plugins.
local core = require "apisix.core"
local plugin = require "apisix.plugin"

local ipairs = ipairs
local setmetatable = setmetatable
local type = type

local ATTRIBUTES = {
    version = true, priority = true, schema = true, metadata_schema = true, consumer_schema = true,
    type = true, scope = true,
}

local _M = {}

-- Forced, what stands twice in a value would be written as its address: only what holds a function is.
local function encode(value)
    return core.json.encode(value) or core.json.encode(value, true)
end

local function named(name)
    local schema = core.schema[name]
    return type(schema) == "table" and schema or nil
end

-- The schema of this name (singular, "route"), or nil.
function _M.schema(name)
    local schema = named(name)
    return schema and encode(schema)
end

-- Check text against the schema of this name alone. Returns nil, or the fault in words.
function _M.fault(name, text)
    local ok, err = core.schema.check(named(name), core.json.decode(text))
    return not ok and err or nil
end

-- The schema of a plugin, of its consumers if kind is "consumer"; "null" when it has none, nil when no such
-- plugin is loaded.
function _M.plugin_schema(name, kind)
    local object = plugin.get(name)
    if not object then
        return nil
    end
    local schema = object[kind == "consumer" and "consumer_schema" or "schema"]
    return encode(schema or core.json.null)
end

-- The loaded plugins' names, the one that runs first in front.
function _M.plugin_names()
    local names = {}
    for i, object in ipairs(plugin.plugins) do
        names[i] = object.name
    end
    return core.json.encode(setmetatable(names, core.json.array_mt))
end

-- All loaded plugins: name -> what is known of it.
function _M.plugins()
    return encode(plugin.get_all(ATTRIBUTES))
end

-- Why text is no JSON, or nil.
function _M.syntax_error(text)
    local _, err = core.json.decode(text)
    return err
end

return _M
