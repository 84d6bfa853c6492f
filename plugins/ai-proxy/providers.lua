-- Owns where providers of models are found, which protocols they speak, and how they call a limit of tokens.
-- Source: APISIX 3.18's documentation of ai-proxy. Must never open a connection.
local format = string.format

-- A place for a protocol: path, or path(conf) with host(conf), conf being the plugin's provider_conf; limit: the field
-- of the body that limits an answer's tokens; instead_of: the field that it takes the place of.
local function chat(path, limit)
    return { ["openai-chat"] = { path = path, limit = limit or "max_tokens" } }
end

local RESPONSES = { path = "/v1/responses", limit = "max_output_tokens" }
local EMBEDDINGS = { path = "/v1/embeddings" }

local _M = {
    openai = {
        host = "api.openai.com",
        places = {
            ["openai-chat"] = {
                path = "/v1/chat/completions", limit = "max_completion_tokens", instead_of = "max_tokens",
            },
            ["openai-responses"] = RESPONSES, ["openai-embeddings"] = EMBEDDINGS,
        },
    },
    ["openai-compatible"] = {
        places = {
            ["openai-chat"] = { path = "/v1/chat/completions", limit = "max_tokens" },
            ["openai-responses"] = RESPONSES, ["openai-embeddings"] = EMBEDDINGS,
        },
    },
    ["azure-openai"] = { without_model = true, places = chat("/completions") },
    deepseek = { host = "api.deepseek.com", places = chat("/chat/completions") },
    aimlapi = { host = "api.aimlapi.com", places = chat("/chat/completions") },
    openrouter = { host = "openrouter.ai", places = chat("/api/v1/chat/completions") },
    gemini = {
        host = "generativelanguage.googleapis.com",
        places = chat("/v1beta/openai/chat/completions", "max_completion_tokens"),
    },
    anthropic = {
        host = "api.anthropic.com",
        places = {
            ["openai-chat"] = { path = "/v1/chat/completions", limit = "max_tokens" },
            ["anthropic-messages"] = { path = "/v1/messages", limit = "max_tokens" },
        },
    },
    ["vertex-ai"] = {
        host = "aiplatform.googleapis.com",
        places = {
            ["openai-chat"] = {
                limit = "max_completion_tokens",
                host = function(conf)
                    return conf.region and format("%s-aiplatform.googleapis.com", conf.region)
                end,
                path = function(conf)
                    return conf.project_id and conf.region
                        and format("/v1beta1/projects/%s/locations/%s/endpoints/openapi/chat/completions",
                            conf.project_id, conf.region)
                end,
            },
        },
    },
}

-- What a configuration may name; bedrock, whose protocol is no JSON over HTTP alone, is refused in its own words.
_M.names = {
    "openai", "deepseek", "aimlapi", "anthropic", "openai-compatible", "azure-openai", "openrouter", "gemini",
    "vertex-ai", "bedrock",
}

return _M
