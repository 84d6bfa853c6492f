-- Owns the protocols that clients and providers speak: which one a request is of, and what its answers say: texts,
-- tokens, calls of tools. Source: the APIs of OpenAI (chat, responses, embeddings) and Anthropic (messages).
-- Must never change a message but where the protocol's own option asks for the tokens of a stream.
local core = require "apisix.core"

local concat, insert = table.concat, table.insert
local ipairs, next, sub, type = ipairs, next, string.sub, type

local function number(value)
    return type(value) == "number" and value or 0
end

local function object(value)
    return type(value) == "table" and value or {}
end

-- Join the texts of those items of a list that text_of knows one in; nil without a list.
local function texts_of(list, text_of, separator)
    if type(list) ~= "table" then
        return nil
    end
    local texts = {}
    for _, item in ipairs(list) do
        local text = text_of(object(item))
        if type(text) == "string" then
            insert(texts, text)
        end
    end
    return texts[1] and concat(texts, separator or " ") or nil
end

local function any(list, test)
    for _, item in ipairs(object(list)) do
        if test(object(item)) then
            return true
        end
    end
    return false
end

local function user_of(body)
    local user = body.safety_identifier or body.user
    return type(user) == "string" and user or nil
end

local function event_data(event)
    local data, err = core.json.decode(event.data, { null_as_nil = true })
    if type(data) ~= "table" then
        core.log.warn("failed to decode SSE data: ", err)
        return nil
    end
    return data
end

-- Each: matches(body, uri); content(body), of a request, for logs; user(body); usage(raw): tokens by their names in
-- ctx.var; answer(body): text, whether tools are called; event(event): {text, usage, tools, done} of a stream's.
local chat = {}

function chat.matches(body)
    return type(body.messages) == "table"
end

-- Ask for the tokens at a stream's end. Returns whether the body has changed.
function chat.prepare(body)
    if body.stream then
        body.stream_options = { include_usage = true }
        return true
    end
    return false
end

function chat.content(body)
    return body.messages
end

chat.user = user_of

function chat.usage(raw)
    local prompt, completion = number(raw.prompt_tokens), number(raw.completion_tokens)
    local read = object(raw.prompt_tokens_details)
    return {
        prompt_tokens = prompt, completion_tokens = completion,
        total_tokens = raw.total_tokens and number(raw.total_tokens) or prompt + completion,
        cache_read_input_tokens = number(read.cached_tokens or raw.prompt_cache_hit_tokens),
        cache_creation_input_tokens = number(read.cache_creation_input_tokens),
        reasoning_tokens = number(object(raw.completion_tokens_details).reasoning_tokens),
    }
end

local function has_calls(message)
    return next(object(object(message).tool_calls)) ~= nil
end

function chat.answer(body)
    local text = texts_of(body.choices, function(choice) return object(choice.message).content end)
    return text, any(body.choices, function(choice) return has_calls(choice.message) end)
end

function chat.event(event)
    if event.type ~= "message" or event.data == "" then
        return nil
    elseif event.data == "[DONE]" then
        return { done = true }
    end
    local data = event_data(event)
    return data and {
        text = texts_of(data.choices, function(choice) return object(choice.delta).content end, ""),
        tools = any(data.choices, function(choice) return has_calls(choice.delta) end),
        usage = type(data.usage) == "table" and data.usage or nil,
    }
end

local responses = { user = user_of }

function responses.matches(body, uri)
    return sub(uri, -13) == "/v1/responses" and body.input ~= nil
end

function responses.content(body)
    return body.input
end

function responses.usage(raw)
    local prompt, completion = number(raw.input_tokens), number(raw.output_tokens)
    return {
        prompt_tokens = prompt, completion_tokens = completion,
        total_tokens = raw.total_tokens and number(raw.total_tokens) or prompt + completion,
        cache_read_input_tokens = number(object(raw.input_tokens_details).cached_tokens),
        cache_creation_input_tokens = 0,
        reasoning_tokens = number(object(raw.output_tokens_details).reasoning_tokens),
    }
end

local function output_text(part)
    return part.type == "output_text" and part.text or nil
end

function responses.answer(body)
    local text = texts_of(body.output, function(item)
        return item.type == "message" and texts_of(item.content, output_text) or nil
    end)
    return text, any(body.output, function(item) return item.type == "function_call" end)
end

local RESPONSES_END = { ["response.failed"] = true, ["response.incomplete"] = true, error = true }

function responses.event(event)
    if event.type == "response.output_text.delta" then
        local data = event_data(event)
        return data and { text = type(data.delta) == "string" and data.delta or nil }
    elseif event.type == "response.completed" then
        local response = object((event_data(event) or {}).response)
        local _, tools = responses.answer(response)
        return { done = true, tools = tools, usage = type(response.usage) == "table" and response.usage or nil }
    end
    return RESPONSES_END[event.type] and { done = true } or nil
end

local messages = { content = chat.content }

function messages.matches(_, uri)
    return sub(uri, -12) == "/v1/messages"
end

function messages.user(body)
    local user = object(body.metadata).user_id
    return type(user) == "string" and user or nil
end

function messages.usage(raw)
    local prompt, completion = number(raw.input_tokens), number(raw.output_tokens)
    return {
        prompt_tokens = prompt, completion_tokens = completion, total_tokens = prompt + completion,
        cache_read_input_tokens = number(raw.cache_read_input_tokens),
        cache_creation_input_tokens = number(raw.cache_creation_input_tokens),
        reasoning_tokens = 0,
    }
end

function messages.answer(body)
    local text = texts_of(body.content, function(block) return block.type == "text" and block.text or nil end)
    return text, any(body.content, function(block) return block.type == "tool_use" end)
end

function messages.event(event)
    if event.type == "message_stop" then
        return { done = true }
    elseif event.type == "error" then
        local err = object((event_data(event) or {}).error)
        core.log.warn("Anthropic SSE error: type=", err.type or "unknown", ", message=", err.message or "unknown")
        return { done = true }
    elseif event.type ~= "content_block_delta" and event.type ~= "content_block_start"
        and event.type ~= "message_delta" and event.type ~= "message_start" then
        return nil
    end
    local data = event_data(event) or {}
    local delta, usage = object(data.delta), data.usage or object(data.message).usage
    return {
        text = delta.type == "text_delta" and type(delta.text) == "string" and delta.text or nil,
        tools = object(data.content_block).type == "tool_use",
        usage = type(usage) == "table" and usage or nil,
    }
end

local embeddings = { usage = chat.usage }

function embeddings.matches(body)
    return body.input ~= nil
end

function embeddings.content(body)
    return body.input
end

local passthrough = {}

function passthrough.matches(body)
    return next(body) ~= nil
end

local BY_NAME = {
    ["anthropic-messages"] = messages, ["openai-responses"] = responses, ["openai-chat"] = chat,
    ["openai-embeddings"] = embeddings, ["passthrough"] = passthrough,
}

local _M = {
    -- in the order in which a request is held against them
    names = { "anthropic-messages", "openai-responses", "openai-chat", "openai-embeddings", "passthrough" },
}

-- The name of the protocol that a request's body, read, and its path are of; nil for none.
function _M.detect(body, uri)
    for _, name in ipairs(_M.names) do
        if BY_NAME[name].matches(body, uri) then
            return name
        end
    end
    return nil
end

function _M.get(name)
    return BY_NAME[name]
end

return _M
