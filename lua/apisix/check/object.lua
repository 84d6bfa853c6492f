-- Owns the examination of a plugin's table: its fields, its phases, its schemas.
-- Must never run a phase; check_schema is called with empty configurations only.
local core = require "apisix.core"
local schemas = require "apisix.check.schemas"

local ipairs = ipairs
local lower = string.lower
local pairs = pairs
local pcall = pcall
local sort = table.sort
local tostring = tostring
local type = type

local PHASES = {
    "rewrite", "access", "before_proxy", "header_filter", "body_filter", "delayed_body_filter", "lua_body_filter",
    "log",
}
local FUNCTIONS = { "check_schema", "init", "destroy", "api", "control_api", "workflow_handler", "construct_upstream" }

-- nginx's phases, and slips: a function of this name is never called.
local NEVER_CALLED = {
    content = "access", balancer = "before_proxy", init_worker = "init", exit_worker = "destroy",
    server_rewrite = "rewrite", precontent = "access", set = "rewrite", ssl_certificate = "init",
    rewrites = "rewrite", acess = "access", accces = "access", header_filters = "header_filter",
    body_filters = "body_filter", headers_filter = "header_filter", response_filter = "body_filter",
    beforeproxy = "before_proxy", headerfilter = "header_filter", bodyfilter = "body_filter", logger = "log",
    rewrite_phase = "rewrite", access_phase = "access", header_filter_phase = "header_filter",
    body_filter_phase = "body_filter", log_phase = "log",
}

local _M = {}

local function fault(faults, about, ...)
    faults[#faults + 1] = { about = about, text = core.table.concat({ ... }) }
end

local function check_fields(faults, name, plugin)
    if type(plugin.priority) ~= "number" then
        fault(faults, "priority", "priority must be a number, it is ", tostring(plugin.priority),
            ": it says when the plugin runs, the higher the earlier")
    end
    if not plugin.version then
        fault(faults, "version", "version is missing")
    end
    if plugin.name ~= nil and plugin.name ~= name then
        fault(faults, "name", "name is \"", tostring(plugin.name), "\", but by its file the plugin is called \"",
            name, "\"")
    end
    if type(plugin.schema) ~= "table" then
        fault(faults, "schema", "schema must be a table, it is ", tostring(plugin.schema))
    end
end

local function check_functions(faults, plugin)
    for _, names in ipairs({ PHASES, FUNCTIONS }) do
        for _, name in ipairs(names) do
            local value = plugin[name]
            if value ~= nil and type(value) ~= "function" then
                fault(faults, name, name, " must be a function, it is a ", type(value))
            end
        end
    end
    for key, value in pairs(plugin) do
        local meant = type(key) == "string" and type(value) == "function" and NEVER_CALLED[lower(key)]
        if meant then
            fault(faults, key, key, " is no phase of a plugin, nothing calls it; ", meant, " is one")
        end
    end
end

local function check_schemas(faults, plugin)
    for _, field in ipairs({ "schema", "metadata_schema", "consumer_schema", "attr_schema" }) do
        local schema = plugin[field]
        if type(schema) == "table" then
            local err = schemas.fault(schema)
            if err then
                fault(faults, field, field, " is no valid JSON schema: ", err)
            end
        elseif schema ~= nil and field ~= "schema" then
            fault(faults, field, field, " must be a table, it is a ", type(schema))
        end
    end
    local properties = type(plugin.schema) == "table" and plugin.schema.properties
    if type(properties) == "table" and properties._meta then
        fault(faults, "schema", "schema has a property _meta, which is the gateway's on every plugin")
    end
end

local function check_empty(faults, plugin, field, schema_type)
    if type(plugin.check_schema) ~= "function" or type(plugin[field]) ~= "table" then
        return
    end
    local ok, err = pcall(plugin.check_schema, {}, schema_type)
    if not ok then
        fault(faults, "check_schema", "check_schema raises an error on an empty configuration",
            schema_type and " (of its " .. field .. ")" or "", ": ", tostring(err))
    end
end

-- Everything that is wrong with the table, as an array of {about = its field, text}.
function _M.faults(name, plugin)
    local faults = {}
    if type(plugin) ~= "table" then
        fault(faults, "module", "the file must return the plugin's table, it returns a ", type(plugin))
        return faults
    end
    check_fields(faults, name, plugin)
    check_functions(faults, plugin)
    check_schemas(faults, plugin)
    check_empty(faults, plugin, "schema")
    check_empty(faults, plugin, "consumer_schema", core.schema.TYPE_CONSUMER)
    check_empty(faults, plugin, "metadata_schema", core.schema.TYPE_METADATA)
    sort(faults, function(a, b)
        return a.text < b.text
    end)
    return faults
end

-- {priority, version, type, phases = array in the order of a request}, each only if it is of its kind.
function _M.facts(plugin)
    if type(plugin) ~= "table" then
        return nil
    end
    local facts = { phases = {} }
    for _, field in ipairs({ "priority", "version", "type" }) do
        local value = plugin[field]
        if type(value) == "number" or type(value) == "string" then
            facts[field] = value
        end
    end
    for _, name in ipairs(PHASES) do
        if type(plugin[name]) == "function" then
            facts.phases[#facts.phases + 1] = name
        end
    end
    return facts
end

return _M
