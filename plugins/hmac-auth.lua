-- Owns authentication by a signature that the client makes with a shared key. Configuration, behaviour and messages
-- are those of APISIX 3.18's plugin of this name. Must never log a key or the signature it would have taken.
local auth = require "apisix.utils.auth"
local consumers = require "apisix.consumer"
local core = require "apisix.core"
local schema_def = require "apisix.schema_def"
local sha256 = require "resty.sha256"
local signature = require "apisix.plugins.hmac-auth.signature"

local abs, ipairs = math.abs, ipairs
local array_find = core.table.array_find
local decode_base64, encode_base64 = ngx.decode_base64, ngx.encode_base64
local parse_http_time, time = ngx.parse_http_time, ngx.time

local NAME = "hmac-auth"

local schema = {
    type = "object",
    properties = {
        allowed_algorithms = {
            type = "array",
            minItems = 1,
            items = { type = "string", enum = signature.ALGORITHMS },
            default = signature.ALGORITHMS,
        },
        clock_skew = { type = "integer", minimum = 1, default = 300 },
        signed_headers = {
            type = "array",
            items = { type = "string", minLength = 1, maxLength = 50 },
            default = { "date" },
        },
        validate_request_body = { type = "boolean", default = false },
        max_req_body_size = { type = "integer", minimum = 1, default = 67108864, description = "bytes" },
        hide_credentials = { type = "boolean", default = false },
        realm = schema_def.get_realm_schema("hmac"),
        anonymous_consumer = schema_def.anonymous_consumer_schema,
    },
}

local consumer_schema = {
    type = "object",
    properties = {
        key_id = { type = "string", minLength = 1, maxLength = 256 },
        secret_key = { type = "string", minLength = 1, maxLength = 256 },
    },
    required = { "key_id", "secret_key" },
    encrypt_fields = { "secret_key" },
}

local _M = {
    version = 0.1,
    priority = 2530,
    type = "auth",
    name = NAME,
    schema = schema,
    consumer_schema = consumer_schema,
}

function _M.check_schema(conf, schema_type)
    if schema_type == core.schema.TYPE_CONSUMER then
        return core.schema.check(consumer_schema, conf)
    end
    return core.schema.check(schema, conf)
end

-- Why the time of the request is not now; nil when it is.
local function staleness(conf, params)
    if not params.date then
        return "Date header missing. failed to validate clock skew"
    end
    local sent = parse_http_time(params.date)
    if not sent then
        return "Invalid GMT format time"
    elseif abs(time() - sent) > conf.clock_skew then
        return "Clock skew exceeded"
    end
    return nil
end

-- A header that must be signed and is not; nil when all are.
local function unsigned_header(conf, params)
    for _, name in ipairs(conf.signed_headers) do
        if not params.headers or not array_find(params.headers, name) then
            return name
        end
    end
    return nil
end

-- Why the body is not the one that was signed, and the status if it must be a certain one; nil when it is.
local function body_flaw(conf, params)
    if not params.body_digest then
        return "Invalid digest"
    end
    local body, err = core.request.get_body(conf.max_req_body_size)
    if err then
        core.log.error("failed to read request body: ", err)
        return err, 413
    end
    local digest = sha256:new()
    digest:update(body or "")
    if params.body_digest ~= "SHA-256=" .. encode_base64(digest:final()) then
        return "Invalid digest"
    end
    return nil
end

-- Returns the consumer and its configuration; or nil, the reason and the status if it must be a certain one.
local function validate(conf, ctx, params)
    if not params.keyId or not params.signature then
        return nil, "keyId or signature missing"
    elseif not params.algorithm then
        return nil, "algorithm missing"
    end
    local consumer, consumer_conf, err = consumers.find_consumer(NAME, "key_id", params.keyId)
    if not consumer then
        return nil, err or "Invalid key_id"
    elseif not array_find(conf.allowed_algorithms, params.algorithm) then
        return nil, "Invalid algorithm"
    end
    err = staleness(conf, params)
    if err then
        return nil, err
    end
    local name = unsigned_header(conf, params)
    if name then
        return nil, 'expected header "' .. name .. '" missing in signing'
    end
    if decode_base64(params.signature) ~= signature.expected(ctx, consumer.auth_conf.secret_key, params) then
        return nil, "Invalid signature"
    end
    if conf.validate_request_body then
        local flaw, status = body_flaw(conf, params)
        if flaw then
            return nil, flaw, status
        end
    end
    return consumer, consumer_conf
end

-- Returns the consumer and its configuration; or nil, nil, what to tell the client and a certain status or nil.
local function find_consumer(conf, ctx)
    local message = "client request can't be validated"
    local params, err = signature.sent(ctx)
    if not params then
        err = message .. ": " .. err
        if not auth.is_running_under_multi_auth(ctx) then
            core.log.warn(err)
        end
        return nil, nil, err
    end
    local consumer, consumer_conf, status = validate(conf, ctx, params)
    if consumer then
        return consumer, consumer_conf
    elseif status then
        return nil, nil, consumer_conf, status
    end
    err = message .. ": " .. consumer_conf
    if auth.is_running_under_multi_auth(ctx) then
        return nil, nil, err
    end
    core.log.warn(err)
    return nil, nil, message
end

local function refuse(conf, body)
    core.response.set_header("WWW-Authenticate", 'hmac realm="' .. conf.realm .. '"')
    return 401, body
end

function _M.rewrite(conf, ctx)
    local consumer, consumer_conf, err, status = find_consumer(conf, ctx)
    if status then
        return status, { message = err }
    elseif not consumer and not conf.anonymous_consumer then
        return refuse(conf, { message = err })
    elseif not consumer then
        consumer, consumer_conf, err = consumers.get_anonymous_consumer(conf.anonymous_consumer)
        if not consumer and auth.is_running_under_multi_auth(ctx) then
            return refuse(conf, err)
        elseif not consumer then
            core.log.error(err)
            return refuse(conf, { message = "Invalid user authorization" })
        end
    end
    if conf.hide_credentials then
        core.request.set_header(ctx, "Authorization", nil)
    end
    consumers.attach_consumer(ctx, consumer, consumer_conf)
end

return _M
