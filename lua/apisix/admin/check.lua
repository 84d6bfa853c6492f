-- Owns the checking of a resource as a client gives it, before it is stored: its schema, its plugins' own
-- check_schema, its expressions and functions. Must never look into the store (whether what a resource
-- refers to exists is asked elsewhere), nor keep or change what it checks. Mirrors the checkers of
-- apisix.admin.
local core = require "apisix.core"
local expr = require "resty.expr.v1"
local metadata = require "apisix.admin.metadata"
local plugin = require "apisix.plugin"
local ssl = require "apisix.ssl"
local upstream = require "apisix.upstream"

local getmetatable = getmetatable
local ipairs = ipairs
local loadstring = loadstring
local match = string.match
local next = next
local null = ngx.null
local pairs = pairs
local pcall = pcall
local require = require
local tostring = tostring
local type = type

local function check_schema(schema, conf)
    local ok, err = core.schema.check(schema, conf)
    return not ok and "invalid configuration: " .. err or nil
end

local function check_plugins(plugins, schema_type)
    local ok, err = plugin.check_schema(plugins or {}, schema_type, false)
    return not ok and err or nil
end

local function check_upstream(conf)
    local ok, err = upstream.check_upstream_conf(conf)
    return not ok and err or nil
end

-- The first reason why a JSONPath below these conditions, post_arg.PATH, cannot be read; or nil.
local function bad_path(node, jsonpath)
    if type(node) ~= "table" then
        return nil
    end
    local path = #node >= 3 and type(node[1]) == "string" and match(node[1], "^post_arg%.(.*)")
    if path then
        local _, err = jsonpath.parse("$." .. path)
        return err
    end
    for _, child in ipairs(node) do
        local err = bad_path(child, jsonpath)
        if err then
            return err
        end
    end
    return nil
end

-- JSONPaths are read where the module for them is installed: without it no request reads one either.
local function check_vars(vars)
    local ok, err = expr.new(vars)
    if ok then
        local found, jsonpath = pcall(require, "jsonpath")
        err = found and bad_path(vars, jsonpath)
    end
    return err and "failed to validate the 'vars' expression: " .. err or nil
end

-- Run source and see that it gives a value of this type. name: of the property; what: of the value.
local function check_source(name, source, wanted, what)
    local chunk, err = loadstring(source)
    if not chunk then
        return "failed to load '" .. name .. "' string: " .. err
    end
    local ok, value = pcall(chunk)
    if not ok then
        return "failed to run '" .. name .. "' string: " .. tostring(value)
    end
    return type(value) ~= wanted and "'" .. name .. "' should be " .. what or nil
end

local function check_script(conf)
    return conf.script and check_source("script", conf.script, "table", "a Lua object") or nil
end

local checks = {}

local function check_exclusive(conf)
    if conf.host and conf.hosts then
        return "only one of host or hosts is allowed"
    elseif conf.remote_addr and conf.remote_addrs then
        return "only one of remote_addr or remote_addrs is allowed"
    end
    return nil
end

local function check_filter_func(conf)
    return conf.filter_func
        and check_source("filter_func", "return " .. conf.filter_func, "function", "a function") or nil
end

function checks.routes(conf)
    return check_exclusive(conf)
        or check_schema(core.schema.route, conf)
        or conf.upstream and check_upstream(conf.upstream)
        or check_plugins(conf.plugins)
        or conf.vars and check_vars(conf.vars)
        or check_filter_func(conf)
        or check_script(conf)
end

function checks.services(conf)
    return check_schema(core.schema.service, conf)
        or conf.upstream and check_upstream(conf.upstream)
        or check_plugins(conf.plugins)
        or check_script(conf)
end

checks.upstreams = check_upstream

local function check_auth_plugins(plugins)
    local err = check_plugins(plugins, core.schema.TYPE_CONSUMER)
    return err and "invalid plugins configuration: " .. err
end

function checks.consumers(conf, username)
    local err = check_schema(core.schema.consumer, conf)
    if not err and username and username ~= conf.username then
        return "wrong username"
    end
    return err or check_auth_plugins(conf.plugins)
end

function checks.credentials(conf)
    local err = check_schema(core.schema.credential, conf) or check_auth_plugins(conf.plugins)
    if err then
        return err
    end
    for name in pairs(conf.plugins or {}) do
        if plugin.get(name).type ~= "auth" then
            return "only supports auth type plugins in consumer credential"
        end
    end
    return nil
end

local function check_plugin_set(schema_name)
    return function(conf)
        return check_schema(core.schema[schema_name], conf) or check_plugins(conf.plugins)
    end
end

checks.consumer_groups = check_plugin_set("consumer_group")
checks.global_rules = check_plugin_set("global_rule")
checks.plugin_configs = check_plugin_set("plugin_config")
checks.plugin_metadata = metadata.check

-- There is no stream proxy here, so no plugin and no protocol of it is known.
function checks.stream_routes(conf)
    local err = check_schema(core.schema.stream_route, conf)
    if err then
        return err
    end
    for _, name in ipairs({ "remote_addr", "server_addr" }) do
        if conf[name] and not core.ip.validate_cidr_or_ip(conf[name]) then
            return "invalid " .. name .. ": " .. conf[name]
        end
    end
    local plugin_name = next(conf.plugins or {})
    return plugin_name and "unknown plugin [" .. plugin_name .. "]"
        or conf.protocol and "unknown protocol [" .. conf.protocol.name .. "]"
end

function checks.graphql_cost_decorations(conf)
    return check_schema(core.schema.graphql_cost_decoration, conf)
end

-- The content is compiled where something can compile it: nothing else here reads it.
function checks.protos(conf)
    local err = check_schema(core.schema.proto, conf)
    if err then
        return err
    end
    local ok, compiler = pcall(require, "apisix.plugins.grpc-transcode.proto")
    if ok then
        ok, err = compiler.compile_proto(conf.content)
        return not ok and "invalid content: " .. err or nil
    end
    return nil
end

function checks.ssls(conf)
    local ok, err = ssl.check_ssl_conf(false, conf)
    return not ok and err or nil
end

function checks.secrets(conf, id)
    local manager = match(id, "^([%w_-]+)/")
    local ok, module
    if manager then
        ok, module = pcall(require, "apisix.secret." .. manager)
    end
    if not ok then
        return "invalid secret manager: " .. (match(id, "^[^/]*"))
    end
    return check_schema(module.schema, conf)
end

-- Check conf (a Lua value) as an item of a directory such as "routes". id: as in the URL or conf, nil where
-- there is none; of a secret "<manager>/<id>". Returns nil, or the fault in words.
return function(resource, id, conf)
    if type(conf) ~= "table" or getmetatable(conf) == core.json.array_mt then
        local what = type(conf) == "table" and "array" or conf == null and "null" or type(conf)
        return "invalid configuration: wrong type: expected object, got " .. what
    end
    return checks[resource](conf, id) or nil
end
