-- Owns the schemas about plugins: lists and sets of them, global rules, what is added to the schema of each.
local common = require "apisix.schema_def.common"

local _M = {}

--- The list of loaded plugins (/plugins).
_M.plugins = {
    type = "array",
    items = {
        type = "object",
        properties = { name = { type = "string", minLength = 1 }, stream = { type = "boolean" } },
        required = { "name" },
    },
}

_M.plugin_config = {
    type = "object",
    properties = common.resource { name = { type = "string" }, plugins = common.plugins },
    required = { "id", "plugins" },
    additionalProperties = false,
}

_M.global_rule = {
    type = "object",
    properties = common.resource({ plugins = common.plugins }, { "id", "create_time", "update_time" }),
    required = { "id", "plugins" },
    additionalProperties = false,
}

--- Properties that the schema of every plugin gets.
_M.injected = {
    ["$comment"] = "this is a mark for our injected plugin schema",
    _meta = {
        type = "object",
        properties = {
            disable = { type = "boolean" },
            error_response = { oneOf = { { type = "string" }, { type = "object" } } },
            priority = { type = "integer", description = "order of execution, instead of the plugin's own" },
            filter = { type = "array", description = "expression that decides whether the plugin runs" },
            pre_function = {
                type = "string",
                description = "Lua function of conf and ctx, run before each phase of the plugin",
            },
        },
        additionalProperties = false,
    },
}

return _M
