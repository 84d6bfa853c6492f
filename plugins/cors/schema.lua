-- Owns the schemas of the plugin cors.
local ORIGINS = [[^(\*|\*\*|null|\w+://[^,]+(,\w+://[^,]+)*)$]]

local names = {
    type = "array",
    minItems = 1,
    uniqueItems = true,
    items = { type = "string", minLength = 1, maxLength = 4096 },
}

return {
    schema = {
        type = "object",
        properties = {
            allow_origins = {
                description = "origins with commas between them; *: all, **: all with credentials too",
                type = "string", pattern = ORIGINS, default = "*",
            },
            allow_methods = { description = "likewise", type = "string", default = "*" },
            allow_headers = { description = "likewise", type = "string", default = "*" },
            expose_headers = { type = "string" },
            max_age = { description = "seconds; -1: not to be kept", type = "integer", default = 5 },
            allow_credential = { type = "boolean", default = false },
            allow_origins_by_regex = names,
            allow_origins_by_metadata = names,
            timing_allow_origins = { type = "string", pattern = ORIGINS },
            timing_allow_origins_by_regex = names,
        },
    },
    metadata_schema = {
        type = "object",
        properties = {
            allow_origins = {
                type = "object",
                additionalProperties = { type = "string", pattern = ORIGINS },
            },
        },
    },
}
