-- Owns the schema of discovery.dns in config.yaml: name servers, as such or by a resolv.conf, and the order of types.
return {
    type = "object",
    properties = {
        servers = { type = "array", minItems = 1, items = { type = "string" } },
        resolv_conf = { type = "string" },
        order = {
            type = "array",
            minItems = 1,
            maxItems = 5,
            uniqueItems = true,
            items = { enum = { "last", "SRV", "A", "AAAA", "CNAME" } },
        },
    },
    oneOf = { { required = { "servers" } }, { required = { "resolv_conf" } } },
}
