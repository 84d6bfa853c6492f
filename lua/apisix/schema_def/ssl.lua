-- Owns the schema of certificates. Plugins may add properties to it when they are loaded.
local common = require "apisix.schema_def.common"

local SNI = { type = "string", pattern = common.HOST_PATTERN }

return {
    type = "object",
    properties = common.resource({
        type = {
            type = "string",
            description = "server: shown to clients; client: shown to upstreams",
            enum = { "server", "client" },
            default = "server",
        },
        cert = common.certificate,
        key = common.private_key,
        certs = { type = "array", items = common.certificate },
        keys = { type = "array", items = common.private_key },
        sni = SNI,
        snis = { type = "array", items = SNI, minItems = 1 },
        client = {
            type = "object",
            properties = {
                ca = common.certificate,
                depth = { type = "integer", minimum = 0, default = 1 },
                skip_mtls_uri_regex = {
                    type = "array",
                    description = "regular expressions of URIs that need no client certificate",
                    minItems = 1,
                    uniqueItems = true,
                    items = { type = "string" },
                },
            },
            required = { "ca" },
        },
        status = common.status("certificate"),
        ssl_protocols = {
            type = "array",
            maxItems = 3,
            uniqueItems = true,
            items = { enum = { "TLSv1.1", "TLSv1.2", "TLSv1.3" } },
        },
    }, { "id", "desc", "labels", "create_time", "update_time" }),
    ["if"] = { properties = { type = { enum = { "server" } } } },
    ["then"] = {
        oneOf = {
            { required = { "sni", "key", "cert" } },
            { required = { "snis", "key", "cert" } },
        },
    },
    ["else"] = { required = { "key", "cert" } },
    additionalProperties = false,
}
