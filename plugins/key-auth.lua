-- Owns authentication by a key that the client sends in a header or a query argument. Configuration, behaviour and
-- messages are those of APISIX 3.18's plugin of this name. Must never log a key.
local auth = require "apisix.utils.auth"
local consumers = require "apisix.consumer"
local core = require "apisix.core"
local schema_def = require "apisix.schema_def"

local NAME = "key-auth"

local schema = {
    type = "object",
    properties = {
        header = { type = "string", default = "apikey" },
        query = { type = "string", default = "apikey" },
        hide_credentials = { type = "boolean", default = false },
        realm = schema_def.get_realm_schema("key"),
        anonymous_consumer = schema_def.anonymous_consumer_schema,
    },
}

local consumer_schema = {
    type = "object",
    properties = { key = { type = "string" } },
    required = { "key" },
    encrypt_fields = { "key" },
}

local _M = {
    version = 0.1,
    priority = 2500,
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

-- The key of the request, the header's before the query's; nil when there is none.
local function sent_key(conf, ctx)
    return core.request.header(ctx, conf.header) or core.request.get_uri_args(ctx)[conf.query]
end

local function hide_in_header(conf, ctx)
    core.request.set_header(ctx, conf.header, nil)
end

local function hide_in_query(conf, ctx)
    local args = core.request.get_uri_args(ctx)
    if args[conf.query] ~= nil then
        args[conf.query] = nil
        core.request.set_uri_args(ctx, args)
    end
end

-- The upstream must not get the key that let the request in.
local function hide_used(conf, ctx)
    if core.request.header(ctx, conf.header) then
        return hide_in_header(conf, ctx)
    end
    return hide_in_query(conf, ctx)
end

-- Returns the consumer and its configuration; or nil, nil and what to tell the client.
local function find_consumer(conf, ctx)
    local key = sent_key(conf, ctx)
    if not key then
        return nil, nil, "Missing API key in request"
    end
    local consumer, consumer_conf, err = consumers.find_consumer(NAME, "key", key)
    if consumer then
        return consumer, consumer_conf
    end
    err = "failed to find consumer: " .. (err or "invalid api key")
    if auth.is_running_under_multi_auth(ctx) then
        return nil, nil, err -- which tells what each plugin found, not the client
    end
    core.log.warn(err)
    return nil, nil, "Invalid API key in request"
end

local function refuse(conf, message)
    core.response.set_header("WWW-Authenticate", 'apikey realm="' .. conf.realm .. '"')
    return 401, message
end

-- A request without a valid key goes on as the anonymous consumer's.
local function pass_as_anonymous(conf, ctx)
    if conf.hide_credentials then -- an invalid key is a secret too: perhaps another gateway's
        hide_in_header(conf, ctx)
        hide_in_query(conf, ctx)
    end
    local consumer, consumer_conf, err = consumers.get_anonymous_consumer(conf.anonymous_consumer)
    if consumer then
        return consumers.attach_consumer(ctx, consumer, consumer_conf)
    end
    if auth.is_running_under_multi_auth(ctx) then
        return refuse(conf, err)
    end
    core.log.error("key-auth failed to authenticate the request, code: 401. error: ", err)
    return refuse(conf, { message = "Invalid user authorization" })
end

function _M.rewrite(conf, ctx)
    local consumer, consumer_conf, err = find_consumer(conf, ctx)
    if consumer then
        if conf.hide_credentials then
            hide_used(conf, ctx)
        end
        return consumers.attach_consumer(ctx, consumer, consumer_conf)
    end
    if conf.anonymous_consumer then
        return pass_as_anonymous(conf, ctx)
    end
    return refuse(conf, { message = err })
end

return _M
