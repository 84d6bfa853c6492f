-- Owns the schema of a GraphQL cost decoration: what one position in a service's GraphQL schema costs.
-- The cost of a field is (sum of its children) * mul + add.
local common = require "apisix.schema_def.common"

local ARGUMENTS = { type = "array", items = { type = "string", minLength = 1 } }

return {
    type = "object",
    properties = common.resource {
        service_id = common.id,
        field_path = {
            type = "string",
            description = "a type, a field of a type, or a chain of selections from a type on, joined by dots",
            pattern = [[^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$]],
        },
        add_value = { type = "number", minimum = 0, default = 1 },
        add_arguments = ARGUMENTS,
        mul_value = { type = "number", minimum = 0, default = 1 },
        mul_arguments = ARGUMENTS,
    },
    required = { "field_path" },
    additionalProperties = false,
}
