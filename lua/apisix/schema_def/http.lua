-- Owns the schemas of routes and services.
local common = require "apisix.schema_def.common"
local upstream = require("apisix.schema_def.upstream").upstream

local ipairs = ipairs

local HOSTS = { type = "array", items = common.host, minItems = 1, uniqueItems = true }
local WEBSOCKET = { type = "boolean", description = "let requests upgrade to WebSocket" }

local function at_most_one(first, second)
    return {
        oneOf = {
            { ["not"] = { anyOf = { { required = { first } }, { required = { second } } } } },
            { required = { first } },
            { required = { second } },
        },
    }
end

-- A route has a URI and something to do with its requests.
local function uri_with_purpose()
    local pairs_of = {}
    for _, uri in ipairs { "uri", "uris" } do
        for _, purpose in ipairs { "plugins", "upstream", "upstream_id", "service_id" } do
            pairs_of[#pairs_of + 1] = { required = { purpose, uri } }
        end
    end
    pairs_of[#pairs_of + 1] = { required = { "script", "uri" } }
    pairs_of[#pairs_of + 1] = { required = { "script", "uris" } }
    return pairs_of
end

local _M = {}

_M.route = {
    type = "object",
    properties = common.resource {
        uri = { type = "string", minLength = 1, maxLength = 4096 },
        uris = {
            type = "array",
            items = { type = "string", description = "URI to match" },
            minItems = 1,
            uniqueItems = true,
        },
        priority = { type = "integer", default = 0 },
        methods = { type = "array", items = common.method, uniqueItems = true },
        host = common.host,
        hosts = HOSTS,
        remote_addr = common.remote_addr,
        remote_addrs = { type = "array", items = common.remote_addr, minItems = 1, uniqueItems = true },
        vars = { type = "array" },
        filter_func = { type = "string", minLength = 10, pattern = "^function" },
        script = common.script,
        script_id = common.id,
        plugins = common.plugins,
        plugin_config_id = common.id,
        upstream = upstream,
        upstream_id = common.id,
        service_id = common.id,
        timeout = common.timeout,
        enable_websocket = WEBSOCKET,
        status = common.status("route"),
    },
    allOf = {
        { oneOf = { { required = { "uri" } }, { required = { "uris" } } } },
        at_most_one("host", "hosts"),
        at_most_one("remote_addr", "remote_addrs"),
    },
    anyOf = uri_with_purpose(),
    ["not"] = {
        anyOf = {
            { required = { "script", "plugins" } },
            { required = { "script", "plugin_config_id" } },
        },
    },
    additionalProperties = false,
}

_M.service = {
    type = "object",
    properties = common.resource {
        plugins = common.plugins,
        upstream = upstream,
        upstream_id = common.id,
        script = common.script,
        enable_websocket = WEBSOCKET,
        hosts = HOSTS,
    },
    additionalProperties = false,
}

return _M
