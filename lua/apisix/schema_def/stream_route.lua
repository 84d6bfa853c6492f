-- Owns the schema of stream (TCP and UDP) routes.
local common = require "apisix.schema_def.common"
local upstream = require("apisix.schema_def.upstream").upstream

local logger = {
    properties = {
        name = { type = "string" },
        filter = { type = "array", description = "rules that decide what is logged" },
        conf = { type = "object", description = "configuration of the logger" },
    },
    dependencies = { name = { "conf" } },
    additionalProperties = false,
}

return {
    type = "object",
    properties = common.resource {
        remote_addr = common.remote_addr,
        server_addr = { type = "string", description = "address of the server", anyOf = common.ip_kinds },
        server_port = common.port,
        sni = { type = "string", description = "server name in TLS", pattern = common.HOST_PATTERN },
        upstream = upstream,
        upstream_id = common.id,
        service_id = common.id,
        plugins = common.plugins,
        protocol = {
            type = "object",
            properties = {
                name = { type = "string" },
                superior_id = common.id,
                conf = { type = "object", description = "configuration of the protocol" },
                logger = { type = "array", items = logger },
            },
            required = { "name" },
        },
    },
    additionalProperties = false,
}
