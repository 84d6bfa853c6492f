-- Owns the way of a request to a model of a provider, and of its answer back. Configuration, behaviour and messages are
-- those of APISIX 3.18's plugin of this name; what it is made of stands in apisix.plugins.ai-proxy.*. Must never log
-- credentials.
local answer = require "apisix.plugins.ai-proxy.answer"
local core = require "apisix.core"
local exporter = require "apisix.plugins.prometheus.exporter"
local log_sanitize = require "apisix.utils.log-sanitize"
local outgoing = require "apisix.plugins.ai-proxy.outgoing"
local protocols = require "apisix.plugins.ai-proxy.protocols"
local providers = require "apisix.plugins.ai-proxy.providers"
local schemas = require "apisix.plugins.ai-proxy.schema"
local secret = require "apisix.secret"
local stream = require "apisix.plugins.ai-proxy.stream"
local usage = require "apisix.plugins.ai-proxy.usage"

local concat, sort = table.concat, table.sort
local find, sub = string.find, string.sub
local now = ngx.now
local pairs, type = pairs, type

local _M = { version = 0.5, priority = 1040, name = "ai-proxy", schema = schemas.schema }

function _M.check_schema(conf)
    local ok, err = core.schema.check(schemas.schema, conf)
    if not ok then
        return false, err
    elseif not providers[conf.provider] then
        return false, "ai provider: " .. conf.provider .. " is not supported."
    end
    local account = core.table.try_read_attr(conf, "auth", "gcp", "service_account_json")
    if account and not secret.is_secret_ref(account) then
        ok, err = core.json.decode(account)
        if ok == nil then
            return false, "invalid gcp service_account_json: " .. err
        end
    end
    return schemas.check_provider(conf)
end

-- Why a body cannot be read, with the status to answer with.
local function refuse_body(err)
    local text = type(err) == "table" and err.message or err
    if type(text) == "string" and find(text, "greater than the maximum size", 1, true) then
        core.log.error("failed to read request body: ", text)
        return 413, err
    end
    return 400, err
end

function _M.access(conf, ctx)
    local kind = core.request.header(ctx, "Content-Type") or "application/json"
    if sub(kind, 1, 16) ~= "application/json" then
        return 400, "unsupported content-type: " .. kind .. ", only application/json is supported"
    end
    local body, err = core.request.get_json_request_body_table(conf.max_req_body_size)
    if not body then
        return refuse_body(err)
    end
    local var = ctx.var
    if body.model then
        var.request_llm_model = body.model
    end
    local name = protocols.detect(body, var.uri)
    if not name then
        return 400, "no matching AI protocol for the request"
    end
    ctx.ai_client_protocol = name
    var.request_type = body.stream == true and name ~= "openai-embeddings" and "ai_stream" or "ai_chat"
    ctx.picked_ai_instance_name = "ai-proxy-" .. conf.provider
    ctx.picked_ai_instance = conf
    ctx.balancer_ip = ctx.picked_ai_instance_name
    ctx.bypass_nginx_upstream = true
end

local function unsupported(provider, places, name)
    local supported = {}
    for each in pairs(places) do
        supported[#supported + 1] = each
    end
    sort(supported)
    return "provider " .. provider .. " does not support " .. name .. " protocol (supported: "
        .. concat(supported, ", ") .. ")"
end

-- Tell the variables what is being asked.
local function note_request(ctx, body, protocol)
    local var = ctx.var
    var.llm_request_body = body
    var.llm_stream = var.request_type == "ai_stream" and "true" or "false"
    var.llm_tool_count = type(body.tools) == "table" and #body.tools or 0
    local user = protocol.user and protocol.user(body)
    if user then
        var.llm_end_user_id = user
    end
end

-- What goes wrong on the way to a provider, as a status.
local function status_of(err)
    return (find(err, "timeout", 1, true) or find(err, "timed out", 1, true)) and 504 or 500
end

-- Pass the provider's error on whole.
local function pass_error(ctx, res, client)
    local body, err = res:read_body()
    if not body then
        core.log.warn("failed to read upstream error response body: ", err)
    end
    if res.headers["Content-Type"] then
        core.response.set_header("Content-Type", res.headers["Content-Type"])
    end
    client:close()
    usage.failed(ctx, true)
    return res.status, body
end

local function pass_answer(conf, ctx, res, client, protocol)
    core.response.set_header("Content-Type", res.headers["Content-Type"])
    local code, body
    if stream.is_stream(res) then
        local err = stream.pass(conf, ctx, res, client, protocol)
        code = err and status_of(err)
    else
        code, body = answer.pass(conf, ctx, res, protocol)
    end
    if code or ctx.ai_stream_aborted or not conf.keepalive then
        client:close()
    else
        local ok, err = client:set_keepalive(conf.keepalive_timeout, conf.keepalive_pool)
        if not ok then
            core.log.warn("failed to keepalive connection: ", err)
        end
    end
    return code, body
end

local function exchange(conf, ctx, params, protocol)
    core.log.info("sending request to LLM server: ",
        core.json.delay_encode(log_sanitize.redact_params(params), true))
    local res, client = outgoing.send(params, conf.timeout)
    if not res then
        core.log.warn("failed to send request to LLM server: ", client)
        usage.failed(ctx, false)
        return status_of(client)
    end
    core.response.set_response_source(ctx, "upstream")
    if res.status == 429 or res.status >= 500 then
        return pass_error(ctx, res, client)
    end
    return pass_answer(conf, ctx, res, client, protocol)
end

function _M.before_proxy(conf, ctx)
    local body, err = core.request.get_json_request_body_table()
    if not body then
        return 400, err
    end
    body = core.table.deepcopy(body)
    local name, provider = ctx.ai_client_protocol, providers[conf.provider]
    local place = provider.places[name]
    if not place and name ~= "passthrough" then
        return 400, unsupported(conf.provider, provider.places, name)
    end
    local model = conf.options and conf.options.model or body.model
    if model then
        ctx.var.llm_model = model
    end
    ctx.llm_request_start_time = now()
    local protocol = protocols.get(name)
    local shaped = outgoing.shape(body, conf, protocol, name, provider, place)
    note_request(ctx, body, protocol)
    -- What nothing has touched goes on byte by byte.
    local sent = not shaped and not ctx.ai_request_body_changed and core.request.get_body() or body
    local params, why, code = outgoing.build(conf, ctx, provider, place, sent)
    if not params then
        core.log.error("failed to build request: ", why)
        return code, { error_msg = why }
    end
    exporter.inc_llm_active_connections(ctx)
    ctx.llm_active_connections_tracked = true
    return exchange(conf, ctx, params, protocol)
end

function _M.log(conf, ctx)
    if ctx.llm_active_connections_tracked then
        exporter.dec_llm_active_connections(ctx)
        ctx.llm_active_connections_tracked = false
    end
    local logging = conf.logging
    if logging and (logging.summaries or logging.payloads) then
        local protocol, body = protocols.get(ctx.ai_client_protocol), ctx.var.llm_request_body
        usage.log(ctx, logging, protocol and protocol.content and body and protocol.content(body) or nil)
    end
end

return _M
