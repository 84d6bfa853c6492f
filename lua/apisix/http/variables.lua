-- Owns the nginx variables that the gateway declares, and what an upstream's request is made of: what
-- APISIX's nginx.conf says with `set`, `proxy_set_header` and `proxy_pass`.
local EMPTY = {
    "upstream_host", "upstream_unresolved_host", "upstream_uri", "upstream_upgrade", "upstream_connection",
    "upstream_mirror_host", "upstream_mirror_uri", "upstream_mirror_grpc_path",
    "upstream_cache_key", "upstream_cache_bypass", "upstream_no_cache", "upstream_cache_zone_info",
    "request_line", "ctx_ref", "rate_limiting_info", "apisix_upstream_response_time",
    "request_llm_model", "llm_content_risk_level", "llm_model", "llm_end_user_id",
    "original_x_forwarded_proto", "original_x_forwarded_host", "original_x_forwarded_port",
    "original_x_forwarded_for", "original_forwarded",
    "opentelemetry_context_traceparent", "opentelemetry_trace_id", "opentelemetry_span_id",
    "zipkin_context_traceparent", "zipkin_trace_id", "zipkin_span_id",
}

local variables = {
    upstream_scheme = "http",
    upstream_cache_zone = "off",
    request_type = "traditional_http",
    apisix_request_id = "$request_id",
    llm_time_to_first_token = "0",
    llm_prompt_tokens = "0",
    llm_completion_tokens = "0",
    llm_total_tokens = "0",
    llm_stream = "false",
    llm_has_tool_calls = "false",
    llm_tool_count = "0",
    llm_cache_read_input_tokens = "0",
    llm_cache_creation_input_tokens = "0",
    llm_reasoning_tokens = "0",
}
for _, name in ipairs(EMPTY) do
    variables[name] = ""
end

return {
    variables = variables,
    proxy = {
        scheme = "$upstream_scheme",
        ssl_server_name = true,
        ssl_name = "$upstream_host",
        uri = "$upstream_uri",
        set_header = {
            { "Host", "$upstream_host" },
            { "Upgrade", "$upstream_upgrade" },
            { "Connection", "$upstream_connection" },
            { "X-Real-IP", "$remote_addr" },
            { "X-Forwarded-For", "$proxy_add_x_forwarded_for" },
        },
        next_upstream = { "error", "timeout" },
        cache = {
            zone = "$upstream_cache_zone", zone_info = "$upstream_cache_zone_info", key = "$upstream_cache_key",
            bypass = "$upstream_cache_bypass", no_cache = "$upstream_no_cache", methods = { "GET", "HEAD", "POST" },
        },
        mirror = { url = "$upstream_mirror_uri", set_header = { { "Host", "$upstream_host" } } },
    },
}
