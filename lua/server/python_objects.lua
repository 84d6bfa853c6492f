-- Owns what Python plugins look like to the gateway: objects like Lua plugins' modules. What they do when they run
-- stands in python_plugins.lua. Must never ask Python about a request.
local bridge = require "server.bridge"
local cjson = require "cjson.safe"
local log = require "server.log"
local running = require "server.python_plugins"

local call = bridge.call
local ipairs = ipairs

local KINDS = { "schema", "consumer_schema", "metadata_schema" }

local _M = {}

-- The context of a request of the Control API, which is no route's.
local function context_of_control()
    local ctx = {}
    require("apisix.core.ctx").set_vars_meta(ctx)
    return ctx
end

-- The paths that the plugin serves, of one kind: {methods, uri} by their number -> as Lua plugins give them.
local function routes(name, kind, listed)
    local found, phase = {}, running.new_phase(name, kind)
    for number, route in ipairs(listed) do
        local is_control = kind == "control_api"
        found[number] = {
            methods = route.methods, uri = not is_control and route.uri or nil,
            uris = is_control and { route.uri } or nil,
            handler = function(ctx)
                return running.answer_of(running.run(phase, number, is_control and context_of_control() or ctx))
            end,
        }
    end
    return found
end

-- A schema compiled; nil without text.
local function schema_of(described, kind)
    local text = described[kind]
    if not text then
        return nil
    end
    local made = cjson.decode(text) -- one more than is judged: what it accepts is added to before it is used
    local ok, err = require("apisix.core.schema").valid(cjson.decode(text))
    if not ok then
        return nil, "its " .. kind .. " is invalid: " .. err
    end
    return made
end

-- What Python says of a configuration, where it knows more than the schema.
local function check_typed(name, kind, conf)
    local fault = call.python_check(name, kind, require("apisix.core.json").encode(conf, true))
    if fault then
        return false, fault
    end
    return true
end

local function checker(plugin, described)
    local schema = require "apisix.core.schema"
    local typed = described.typed
    return function(conf, schema_type)
        local kind = "schema"
        if schema_type == schema.TYPE_CONSUMER and plugin.consumer_schema then
            kind = "consumer_schema"
        elseif schema_type == schema.TYPE_METADATA then
            kind = "metadata_schema"
            if not plugin.metadata_schema then
                return true
            end
        end
        local ok, err = schema.check(plugin[kind], conf)
        if ok and typed[kind] then
            return check_typed(plugin.name, kind, conf)
        end
        return ok, err
    end
end

-- In the place of a plugin that cannot be used: whoever relies on it (to keep others out, say) is not let through.
local function stand_in(described, why)
    log.err("Python plugin [", described.name, "] cannot be used, requests to routes that have it get 503: ", why)
    local plugin = {
        name = described.name, version = described.version, priority = described.priority,
        schema = { type = "object" }, is_broken = why,
        type = described.consumer_schema and "auth" or nil,
    }
    function plugin.check_schema()
        if described.refuse then
            return false, "the plugin cannot be used: " .. why
        end
        return true
    end
    function plugin.rewrite()
        log.err("plugin [", described.name, "] cannot be used: ", why)
        return 503
    end
    return plugin
end

local function object_of(described)
    local name = described.name
    if described.fault then
        return stand_in(described, described.fault)
    end
    local plugin = { name = name, version = described.version, priority = described.priority, is_python = true }
    for _, kind in ipairs(KINDS) do
        local err
        plugin[kind], err = schema_of(described, kind)
        if err then
            return stand_in(described, err)
        end
    end
    plugin.type = plugin.consumer_schema and "auth" or nil
    plugin.check_schema = checker(plugin, described)
    running.add_phases(plugin, described.phases)
    for _, kind in ipairs({ "api", "control_api" }) do
        local listed = described[kind]
        if listed and listed[1] then
            local made = routes(name, kind, listed)
            plugin[kind] = function()
                return made
            end
        end
    end
    return plugin
end

-- The worker's Python plugins as plugin objects (see apisix.plugin.loader).
function _M.list()
    local plugins = {}
    for _, described in ipairs(call.python_plugins()) do
        plugins[#plugins + 1] = object_of(described)
    end
    return plugins
end

return _M
