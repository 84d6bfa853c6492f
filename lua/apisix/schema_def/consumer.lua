-- Owns the schemas about those who call: consumers, their credentials and groups, realms of authentication.
local common = require "apisix.schema_def.common"

local _M = {}

_M.consumer = {
    type = "object",
    properties = common.resource({
        username = { type = "string", minLength = 1, maxLength = 256, pattern = [[^[a-zA-Z0-9_\-]+$]] },
        group_id = common.id,
        plugins = common.plugins,
    }, { "id", "desc", "labels", "create_time", "update_time" }),
    required = { "username" },
    additionalProperties = false,
}

_M.credential = {
    type = "object",
    properties = common.resource {
        -- in the store a credential is called <consumer>/credentials/<id>
        id = {
            oneOf = {
                common.id,
                {
                    type = "string",
                    minLength = 15,
                    maxLength = 128,
                    pattern = [[^[a-zA-Z0-9-_]+/credentials/[a-zA-Z0-9-_.]+$]],
                },
            },
        },
        plugins = { type = "object", maxProperties = 1 },
    },
    additionalProperties = false,
}

_M.consumer_group = {
    type = "object",
    properties = common.resource { plugins = common.plugins },
    required = { "id", "plugins" },
    additionalProperties = false,
}

_M.anonymous_consumer = { type = "string", minLength = 1 }

--- The schema of a realm in WWW-Authenticate: printable ASCII but the quote and the backslash.
function _M.realm(default)
    return {
        type = "string",
        minLength = 1,
        maxLength = 128,
        pattern = [=[^[ -!#-[\]-~]+$]=],
        default = default,
    }
end

return _M
