-- Owns the schema of proxy-rewrite; names, bounds and nesting are APISIX 3.18's, as messages tell of them.
local METHODS = {
    "GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "MKCOL", "COPY", "MOVE", "PROPFIND", "LOCK", "UNLOCK",
    "PATCH", "TRACE",
}
local FIELD_NAME = "^[^:]+$"

local text, number = { type = "string" }, { type = "number" }
local text_or_number = { oneOf = { text, number } }

-- Name -> value, or an array of values where the field is to stand several times.
local fields = {
    type = "object",
    minProperties = 1,
    patternProperties = {
        [FIELD_NAME] = {
            oneOf = { text, number, { type = "array", minItems = 1, items = text_or_number } },
        },
    },
}

local actions = {
    type = "object",
    minProperties = 1,
    additionalProperties = false,
    properties = {
        add = fields,
        set = fields,
        remove = { type = "array", minItems = 1, items = { type = "string", pattern = FIELD_NAME } },
    },
}

local fields_to_set = {
    type = "object",
    minProperties = 1,
    patternProperties = { [FIELD_NAME] = text_or_number },
}

return {
    type = "object",
    minProperties = 1,
    properties = {
        uri = {
            type = "string", minLength = 1, maxLength = 4096, pattern = [[^\/.*]],
            description = "path, and query if it has one, that the upstream gets; may hold variables",
        },
        regex_uri = {
            type = "array", minItems = 2, items = { type = "string" },
            description = "pattern, replacement, pattern, …: the first that matches makes the path; uri wins over it",
        },
        use_real_request_uri_unsafe = {
            type = "boolean", default = false,
            description = "start from the URI as the client sent it: nothing in it was normalized or is escaped",
        },
        method = { type = "string", enum = METHODS },
        host = { type = "string", pattern = [[^[0-9a-zA-Z-.]+(:\d{1,5})?$]] },
        headers = {
            oneOf = { actions, fields_to_set },
            description = "what to add, set and remove; or names and values, all to be set",
        },
    },
}
