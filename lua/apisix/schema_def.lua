-- Owns the table of contents of the schemas of all resources: their names as plugins know them.
-- Mirrors apisix.schema_def of APISIX 3.18; property names, limits and patterns are its own.
local common = require "apisix.schema_def.common"
local consumer = require "apisix.schema_def.consumer"
local health_check = require "apisix.schema_def.health_check"
local http = require "apisix.schema_def.http"
local plugin = require "apisix.schema_def.plugin"
local upstream = require "apisix.schema_def.upstream"

return {
    version = 0.5,

    -- resources
    route = http.route,
    service = http.service,
    upstream = upstream.upstream,
    consumer = consumer.consumer,
    credential = consumer.credential,
    consumer_group = consumer.consumer_group,
    ssl = require "apisix.schema_def.ssl",
    global_rule = plugin.global_rule,
    plugin_config = plugin.plugin_config,
    plugins = plugin.plugins,
    stream_route = require "apisix.schema_def.stream_route",
    graphql_cost_decoration = require "apisix.schema_def.graphql",
    proto = {
        type = "object",
        properties = common.resource { content = { type = "string", minLength = 1, maxLength = 1024 * 1024 } },
        required = { "content" },
        additionalProperties = false,
    },

    -- parts that plugins use in their own schemas
    id_schema = common.id,
    host_def = common.host,
    ip_def = common.ip_kinds,
    uri_def = common.uri,
    label_value_def = common.label_value,
    method_schema = common.method,
    health_checker = health_check.checks,
    health_checker_active = health_check.active,
    health_checker_passive = health_check.passive,
    discovery_nodes = upstream.discovery_nodes,
    upstream_hash_vars_schema = upstream.hash_vars,
    upstream_hash_header_schema = upstream.hash_header,
    upstream_hash_vars_combinations_schema = upstream.hash_vars_combinations,
    anonymous_consumer_schema = consumer.anonymous_consumer,
    get_realm_schema = consumer.realm,
    plugin_injected_schema = plugin.injected,
}
