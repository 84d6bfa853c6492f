-- Owns the schema of ai-proxy, and what it demands beyond that. Source: APISIX 3.18's documentation of the plugin.
-- Must never know how a provider is spoken to.
local protocols = require "apisix.plugins.ai-proxy.protocols"
local providers = require "apisix.plugins.ai-proxy.providers"

local ipairs = ipairs

local text = { type = "string" }
local full_text = { type = "string", minLength = 1 }
local pairs_of_text = { type = "object", patternProperties = { ["^[a-zA-Z0-9._-]+$"] = text } }

local gcp = {
    type = "object",
    properties = {
        service_account_json = text, -- default: the environment's GCP_SERVICE_ACCOUNT
        max_ttl = { type = "integer", minimum = 1, description = "seconds that a token is kept" },
        expire_early_secs = { type = "integer", minimum = 0, default = 60 },
    },
}

local aws = {
    type = "object",
    properties = { access_key_id = full_text, secret_access_key = full_text, session_token = full_text },
    required = { "access_key_id", "secret_access_key" },
}

local bodies = { type = "object", properties = {}, additionalProperties = false }
for _, name in ipairs(protocols.names) do
    bodies.properties[name] = { type = "object", additionalProperties = true }
end
bodies.properties["bedrock-converse"] = { type = "object", additionalProperties = true }

local override = {
    type = "object",
    properties = {
        endpoint = { type = "string", minLength = 1, description = "URL; its path and query are used if it has any" },
        llm_options = {
            type = "object",
            properties = { max_tokens = { type = "integer", minimum = 1 } },
            additionalProperties = false,
        },
        request_body = bodies, -- by protocol: merged into the body
        request_body_force_override = { type = "boolean", default = false },
    },
}

local schema = {
    type = "object",
    properties = {
        provider = { type = "string", enum = providers.names },
        provider_conf = { type = "object", properties = { project_id = text, region = full_text } },
        auth = {
            type = "object",
            patternProperties = { header = pairs_of_text, query = pairs_of_text, gcp = gcp, aws = aws },
            additionalProperties = false,
        },
        options = { type = "object", properties = { model = text }, additionalProperties = true },
        override = override,
        logging = {
            type = "object",
            properties = {
                summaries = { type = "boolean", default = false },
                payloads = { type = "boolean", default = false },
            },
        },
        timeout = { type = "integer", minimum = 1, maximum = 600000, default = 30000, description = "milliseconds" },
        max_req_body_size = { type = "integer", minimum = 1, default = 64 * 1024 * 1024, description = "bytes" },
        max_response_bytes = { type = "integer", minimum = 1 },
        max_stream_duration_ms = { type = "integer", minimum = 1 },
        streaming_flush_interval_ms = {
            type = "integer", minimum = 0, default = 10, description = "0: each piece is sent as it comes",
        },
        keepalive = { type = "boolean", default = true },
        keepalive_timeout = { type = "integer", minimum = 1000, default = 60000, description = "milliseconds" },
        keepalive_pool = { type = "integer", minimum = 1, default = 30 },
        ssl_verify = { type = "boolean", default = true },
    },
    required = { "provider", "auth" },
    encrypt_fields = {
        "auth.header", "auth.query", "auth.gcp.service_account_json",
        "auth.aws.secret_access_key", "auth.aws.session_token",
    },
}

local _M = { schema = schema }

-- What a provider needs to be told. Returns true, or false and what is missing.
function _M.check_provider(conf)
    local place, endpoint = conf.provider_conf, conf.override and conf.override.endpoint
    if conf.provider == "vertex-ai" and not endpoint and not (place and place.project_id and place.region) then
        return false, "vertex-ai requires either provider_conf (project_id + region) or override.endpoint"
    end
    return true
end

return _M
