-- Owns authentication by JSON Web Tokens. Configuration, behaviour and messages are those of APISIX 3.18's plugin of
-- this name. Must never take another algorithm than the consumer's.
local auth = require "apisix.utils.auth"
local carrier = require "apisix.plugins.jwt-auth.carrier"
local consumers = require "apisix.consumer"
local core = require "apisix.core"
local parser = require "apisix.plugins.jwt-auth.parser"
local schema_def = require "apisix.schema_def"
local secrets = require "apisix.secret"

local decode_base64 = ngx.decode_base64
local ipairs, sub = ipairs, string.sub

local NAME = "jwt-auth"
local SHARED = { "HS256", "HS384", "HS512" }
local OF_KEYS = { "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA" }

local ALL = core.table.clone(SHARED)
for _, name in ipairs(OF_KEYS) do
    core.table.insert(ALL, name)
end

local schema = {
    type = "object",
    properties = {
        header = { type = "string", default = "authorization" },
        query = { type = "string", default = "jwt" },
        cookie = { type = "string", default = "jwt" },
        hide_credentials = { type = "boolean", default = false },
        key_claim_name = { type = "string", minLength = 1, default = "key" },
        store_in_ctx = { type = "boolean", default = false },
        realm = schema_def.get_realm_schema("jwt"),
        anonymous_consumer = schema_def.anonymous_consumer_schema,
        claims_to_verify = {
            type = "array",
            items = { type = "string", enum = { "exp", "nbf" } },
            uniqueItems = true,
        },
    },
}

local consumer_schema = {
    type = "object",
    properties = {
        key = { type = "string", minLength = 1 },
        secret = { type = "string", minLength = 1 },
        algorithm = { type = "string", enum = ALL, default = "HS256" },
        exp = { type = "integer", minimum = 1, default = 86400, description = "seconds" },
        base64_secret = { type = "boolean", default = false },
        lifetime_grace_period = { type = "integer", minimum = 0, default = 0, description = "seconds" },
    },
    dependencies = {
        algorithm = {
            oneOf = {
                { properties = { algorithm = { enum = SHARED, default = "HS256" } } },
                {
                    properties = {
                        algorithm = { enum = OF_KEYS },
                        public_key = { type = "string", minLength = 1 },
                    },
                    required = { "public_key" },
                },
            },
        },
    },
    required = { "key" },
    encrypt_fields = { "secret" },
}

local _M = {
    version = 0.1,
    priority = 2510,
    type = "auth",
    name = NAME,
    schema = schema,
    consumer_schema = consumer_schema,
}

local function is_shared(algorithm)
    return sub(algorithm, 1, 2) == "HS"
end

local function check_consumer(conf)
    local ok, err = core.schema.check(consumer_schema, conf)
    if not ok then
        return false, err
    elseif is_shared(conf.algorithm) and not conf.secret then
        return false, 'property "secret" is required when using HS based algorithms'
    elseif conf.base64_secret and conf.secret and not secrets.is_secret_ref(conf.secret)
        and not decode_base64(conf.secret)
    then
        return false, "base64_secret required but the secret is not in base64 format"
    elseif not is_shared(conf.algorithm) and not conf.public_key then
        return false, "missing valid public key"
    end
    return true
end

function _M.check_schema(conf, schema_type)
    if schema_type == core.schema.TYPE_CONSUMER then
        return check_consumer(conf)
    end
    return core.schema.check(schema, conf)
end

-- What a consumer's tokens are verified with; nil if its secret, of a reference, is not the base64 it should be.
local function key_of(auth_conf)
    if not is_shared(auth_conf.algorithm) then
        return auth_conf.public_key
    end
    return auth_conf.base64_secret and decode_base64(auth_conf.secret) or not auth_conf.base64_secret
        and auth_conf.secret or nil
end

-- A failure that the client is told about in few words, and the log or multi-auth in full.
local function fail(ctx, log, reason, message)
    if auth.is_running_under_multi_auth(ctx) then
        return nil, nil, reason
    end
    log(reason)
    return nil, nil, message
end

-- Is it this consumer's token, and is now the time? Returns true, or nil, how to log and the reason.
local function verify(conf, token, auth_conf)
    local key = key_of(auth_conf)
    if not key then
        return nil, core.log.error, "failed to retrieve secrets, err: secret is not in base64 format"
    elseif token.header.alg ~= auth_conf.algorithm then
        return nil, core.log.warn, "failed to verify jwt: algorithm mismatch, expected " .. auth_conf.algorithm
    elseif not token:verify_signature(key) then
        return nil, core.log.warn, "failed to verify jwt: signature mismatch: " .. token.signature
    end
    local ok, err = token:verify_claims(conf.claims_to_verify, auth_conf)
    if not ok then
        return nil, core.log.error, "failed to verify jwt: " .. err
    end
    return true
end

-- Returns the consumer and its configuration; or nil, nil and what to tell the client.
local function find_consumer(conf, ctx)
    local text = carrier.take(conf, ctx)
    if not text then
        return nil, nil, "Missing JWT token in request"
    end
    local token, err = parser.new(text)
    if not token then
        return fail(ctx, core.log.warn, "JWT token invalid: " .. err, "JWT token invalid")
    end
    local user_key = token.payload[conf.key_claim_name]
    if not user_key then
        return nil, nil, "missing user key in JWT token"
    end
    local consumer, consumer_conf
    consumer, consumer_conf, err = consumers.find_consumer(NAME, "key", user_key)
    if not consumer then
        core.log.warn("failed to find consumer: ", err or "invalid user key")
        return nil, nil, "Invalid user key in JWT token"
    end
    local ok, log, reason = verify(conf, token, consumer.auth_conf)
    if not ok then
        return fail(ctx, log, reason, "failed to verify jwt")
    end
    if conf.store_in_ctx then
        ctx.jwt_auth_payload = token.payload
    end
    return consumer, consumer_conf
end

local function refuse(conf, message)
    core.response.set_header("WWW-Authenticate", 'Bearer realm="' .. conf.realm .. '"')
    return 401, { message = message }
end

function _M.rewrite(conf, ctx)
    local consumer, consumer_conf, err = find_consumer(conf, ctx)
    if not consumer and not conf.anonymous_consumer then
        return refuse(conf, err)
    elseif not consumer then
        consumer, consumer_conf, err = consumers.get_anonymous_consumer(conf.anonymous_consumer)
        if not consumer then
            core.log.error("jwt-auth failed to authenticate the request, code: 401. error: ", err)
            return refuse(conf, "Invalid user authorization")
        end
    end
    consumers.attach_consumer(ctx, consumer, consumer_conf)
end

return _M
