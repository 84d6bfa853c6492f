-- Owns what of an exchange with a model is told to others: the variables llm_* and the fields of the log.
-- Source: APISIX 3.18's documentation of ai-proxy. Must never read from a connection.
local floor = math.floor
local now = ngx.now
local pairs, type = pairs, type

local TOKENS = {
    "prompt_tokens", "completion_tokens", "total_tokens", "cache_read_input_tokens",
    "cache_creation_input_tokens", "reasoning_tokens",
}

local _M = {}

-- Milliseconds since the request to the provider began.
function _M.elapsed(ctx)
    return floor((now() - ctx.llm_request_start_time) * 1000)
end

-- Keep tokens, by the names of ctx.var without "llm_", and the provider's own words for them.
function _M.set(ctx, tokens, raw)
    ctx.ai_token_usage, ctx.llm_raw_usage = tokens, raw
    for i = 1, #TOKENS do
        ctx.var["llm_" .. TOKENS[i]] = tokens[TOKENS[i]] or 0
    end
end

-- The same for what a stream says in several events: what is not 0 counts.
function _M.add(ctx, tokens, raw)
    local sum, whole = ctx.ai_token_usage, ctx.llm_raw_usage
    if not sum then
        return _M.set(ctx, tokens, raw)
    end
    for name, value in pairs(tokens) do
        if value > 0 then
            sum[name] = value
        end
    end
    for name, value in pairs(raw) do
        if type(value) == "number" and value > 0 then
            whole[name] = value
        end
    end
    local total = sum.prompt_tokens + sum.completion_tokens
    if total > sum.total_tokens then
        sum.total_tokens = total
    end
    _M.set(ctx, sum, whole)
end

-- Note a provider that has answered with an error, or (responded false) not at all.
function _M.failed(ctx, responded)
    local elapsed = _M.elapsed(ctx)
    ctx.var.apisix_upstream_response_time = elapsed
    if responded then
        ctx.var.llm_time_to_first_token = elapsed
    end
end

-- Fill the log's fields. content: of the request.
function _M.log(ctx, logging, content)
    local var = ctx.var
    if logging.summaries then
        ctx.llm_summary = {
            request_model = var.request_llm_model, model = var.llm_model, duration = var.llm_time_to_first_token,
            prompt_tokens = var.llm_prompt_tokens, completion_tokens = var.llm_completion_tokens,
            total_tokens = var.llm_total_tokens, upstream_response_time = var.apisix_upstream_response_time,
            stream = var.llm_stream, tool_count = var.llm_tool_count, has_tool_calls = var.llm_has_tool_calls,
            end_user_id = var.llm_end_user_id, cache_read_input_tokens = var.llm_cache_read_input_tokens,
            cache_creation_input_tokens = var.llm_cache_creation_input_tokens,
            reasoning_tokens = var.llm_reasoning_tokens, content_risk_level = var.llm_content_risk_level,
        }
    end
    if logging.payloads then
        ctx.llm_request = { messages = content, stream = var.request_type == "ai_stream" }
        ctx.llm_response_text = { content = var.llm_response_text }
    end
end

return _M
