-- Owns the schema of response-rewrite; names, bounds and nesting are APISIX 3.18's, as messages tell of them.
local FIELD_NAME = "^[^:]+$"
local MAX_BODY = 64 * 1024 * 1024 -- bytes

local fields = {
    type = "object",
    minProperties = 1,
    patternProperties = { [FIELD_NAME] = { oneOf = { { type = "string" }, { type = "number" } } } },
}

local actions = {
    properties = {
        add = { type = "array", minItems = 1, items = { type = "string", pattern = "^[^:]+:[^:]*[^/]$" } },
        set = fields,
        remove = { type = "array", minItems = 1, items = { type = "string", pattern = FIELD_NAME } },
    },
}

local filter = {
    type = "object",
    description = "replaces what matches regex in the body",
    required = { "regex", "replace" },
    properties = {
        regex = { type = "string", minLength = 1 },
        scope = { type = "string", enum = { "once", "global" }, default = "once" },
        replace = { type = "string" },
        options = { type = "string", default = "jo", description = "as of ngx.re.sub" },
    },
}

local function excludes(name)
    return { ["not"] = { required = { name } } }
end

return {
    type = "object",
    properties = {
        status_code = { type = "integer", minimum = 200, maximum = 598 },
        headers = {
            anyOf = { fields, actions },
            description = "what to add, set and remove; or names and values, all to be set",
        },
        body = { type = "string" },
        body_base64 = { type = "boolean", default = false, description = "body is to be decoded before it is sent" },
        filters = { type = "array", minItems = 1, items = filter },
        max_resp_body_size = {
            type = "integer", minimum = 1, default = MAX_BODY,
            description = "bytes of a body that filters get to see; what is longer is cut off",
        },
        vars = { type = "array", description = "expression that says which responses are rewritten" },
    },
    dependencies = { body = excludes("filters"), filters = excludes("body") },
}
