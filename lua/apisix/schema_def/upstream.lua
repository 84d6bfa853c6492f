-- Owns the schema of upstreams, of their nodes, and of what consistent hashing may hash on.
local common = require "apisix.schema_def.common"
local health_check = require "apisix.schema_def.health_check"

local WEIGHT = { type = "integer", description = "weight of a node", minimum = 0 }
local METADATA = { type = "object", description = "metadata of a node" }

-- Nodes as {"host:port": weight, …} or as a list.
local nodes = {
    anyOf = {
        { type = "object", patternProperties = { [".*"] = WEIGHT } },
        {
            type = "array",
            items = {
                type = "object",
                properties = {
                    host = common.host,
                    port = common.port,
                    weight = WEIGHT,
                    priority = { type = "integer", default = 0 },
                    metadata = METADATA,
                },
                required = { "host", "weight" },
            },
        },
    },
}

local tls = {
    type = "object",
    properties = {
        client_cert_id = common.id,
        client_cert = common.certificate,
        client_key = common.private_key,
        verify = { type = "boolean", description = "verify the server's certificate", default = false },
    },
    dependencies = {
        client_cert = { required = { "client_key" } },
        client_key = { required = { "client_cert" } },
        client_cert_id = { ["not"] = { required = { "client_cert", "client_key" } } },
    },
}

local keepalive_pool = {
    type = "object",
    properties = {
        size = { type = "integer", minimum = 1, default = 320 },
        idle_timeout = { type = "number", minimum = 0, default = 60 },
        requests = { type = "integer", minimum = 1, default = 1000 },
    },
}

local _M = {}

_M.upstream = {
    type = "object",
    properties = common.resource {
        nodes = nodes,
        type = { type = "string", description = "balancing algorithm", default = "roundrobin" },
        hash_on = {
            type = "string",
            enum = { "vars", "header", "cookie", "consumer", "vars_combinations" },
            default = "vars",
        },
        key = { type = "string", description = "what consistent hashing hashes" },
        checks = health_check.checks,
        retries = { type = "integer", minimum = 0 },
        retry_timeout = { type = "number", minimum = 0 },
        timeout = common.timeout,
        tls = tls,
        keepalive_pool = keepalive_pool,
        scheme = {
            description = "grpc, grpcs, http, https for HTTP; tcp, tls, udp for streams; kafka",
            enum = { "grpc", "grpcs", "http", "https", "tcp", "tls", "udp", "kafka" },
            default = "http",
        },
        discovery_type = { type = "string", description = "name of a service discovery" },
        discovery_args = {
            type = "object",
            properties = { namespace_id = { type = "string" }, group_name = { type = "string" } },
        },
        service_name = { type = "string", minLength = 1, maxLength = 256 },
        pass_host = {
            type = "string",
            description = "Host of the upstream request: the client's, the node's, or upstream_host",
            enum = { "pass", "node", "rewrite" },
            default = "pass",
        },
        upstream_host = common.host,
    },
    oneOf = {
        { required = { "nodes" } },
        { required = { "service_name", "discovery_type" } },
    },
    additionalProperties = false,
}

--- Nodes as a service discovery gives them; those from DNS may lack a port.
_M.discovery_nodes = {
    type = "array",
    items = {
        type = "object",
        properties = {
            host = { description = "name or address" },
            port = common.port,
            weight = WEIGHT,
            priority = { type = "integer" },
            metadata = METADATA,
        },
        required = { "host", "weight" },
    },
}

_M.hash_vars = {
    type = "string",
    pattern = "^((uri|server_name|server_addr|request_uri|remote_port|remote_addr|query_string|host|hostname"
        .. "|mqtt_client_id)|arg_[0-9a-zA-z_-]+)$",
}
_M.hash_header = { type = "string", pattern = [[^[a-zA-Z0-9-_]+$]] }
_M.hash_vars_combinations = { type = "string" }

return _M
