-- Owns the lists of names that ctx.var treats in a way of their own. Mirrors the lists of apisix.core.ctx.

-- Assigning to these sets the nginx variable too; the application declares them (`variables`).
local WRITTEN_THROUGH = {
    "upstream_scheme", "upstream_host", "upstream_unresolved_host", "upstream_upgrade",
    "upstream_connection", "upstream_uri", "request_line",
    "upstream_mirror_host", "upstream_mirror_uri", "upstream_mirror_grpc_path",
    "upstream_cache_zone", "upstream_cache_zone_info", "upstream_no_cache", "upstream_cache_key",
    "upstream_cache_bypass",
    "request_type", "apisix_request_id", "apisix_upstream_response_time",
    "original_x_forwarded_for", "rate_limiting_info",
    "request_llm_model", "llm_model", "llm_content_risk_level", "llm_time_to_first_token",
    "llm_prompt_tokens", "llm_completion_tokens", "llm_total_tokens", "llm_reasoning_tokens",
    "llm_cache_read_input_tokens", "llm_cache_creation_input_tokens",
    "llm_stream", "llm_has_tool_calls", "llm_tool_count", "llm_end_user_id",
}

-- Fields of the request's ctx that are variables of the same name.
local CTX_FIELDS = {
    "balancer_ip", "balancer_port", "consumer_group_id", "consumer_name", "route_id", "route_name",
    "service_id", "service_name", "upstream_unresolved_host",
}

-- Variables of nginx that are numbers here, as they are where lua-var-nginx-module reads them; of several upstreams,
-- the sum.
local NUMBERS = {
    "status", "request_time", "request_length", "bytes_sent",
    "upstream_response_time", "upstream_header_time", "upstream_connect_time",
}

return { WRITTEN_THROUGH = WRITTEN_THROUGH, CTX_FIELDS = CTX_FIELDS, NUMBERS = NUMBERS }
