-- Owns authentication by user name and password (RFC 7617). Configuration, behaviour and messages are those of
-- APISIX 3.18's plugin of this name. Must never log a password.
local auth = require "apisix.utils.auth"
local consumers = require "apisix.consumer"
local core = require "apisix.core"
local schema_def = require "apisix.schema_def"
local split = require("ngx.re").split

local decode_base64 = ngx.decode_base64
local gsub, match = ngx.re.gsub, ngx.re.match

local NAME = "basic-auth"

local schema = {
    type = "object",
    properties = {
        hide_credentials = { type = "boolean", default = false },
        realm = schema_def.get_realm_schema("basic"),
        anonymous_consumer = schema_def.anonymous_consumer_schema,
    },
}

local consumer_schema = {
    type = "object",
    properties = { username = { type = "string" }, password = { type = "string" } },
    required = { "username", "password" },
    encrypt_fields = { "password" },
}

local _M = {
    version = 0.1,
    priority = 2520,
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

-- The same clients come again and again with the same header.
local cached = core.lrucache.new({ ttl = 300, count = 512 })

local function without_spaces(text)
    return (gsub(text, "\\s+", "", "jo"))
end

-- Returns {username, password}, or nil and what is wrong with the header.
local function parse(header)
    local found, err = match(header, "(?i:basic)\\s(.+)", "jo")
    if not found then
        return nil, err or "Invalid authorization header format"
    end
    local text = decode_base64(found[1])
    if not text then
        return nil, "Failed to decode authentication header: " .. found[1]
    end
    local parts
    parts, err = split(text, ":", "jo")
    if not parts then
        return nil, "Split authorization err:" .. err
    elseif #parts < 2 then
        return nil, "Split authorization err: invalid decoded data: " .. text
    end
    return { username = without_spaces(parts[1]), password = without_spaces(parts[2]) }
end

-- A failure that the client is told about in few words, and the log or multi-auth in full.
local function fail(ctx, reason, message)
    if auth.is_running_under_multi_auth(ctx) then
        return nil, nil, reason
    end
    core.log.warn(reason)
    return nil, nil, message
end

-- Returns the consumer and its configuration; or nil, nil and what to tell the client.
local function find_consumer(ctx)
    local header = core.request.header(ctx, "Authorization")
    if not header then
        return nil, nil, "Missing authorization in request"
    end
    local sent, err = cached(header, nil, parse, header)
    if not sent then
        return fail(ctx, err, "Invalid authorization in request")
    end
    local consumer, conf
    consumer, conf, err = consumers.find_consumer(NAME, "username", sent.username)
    if not consumer then
        return fail(ctx, "failed to find user: " .. (err or "invalid user"), "Invalid user authorization")
    elseif consumer.auth_conf.password ~= sent.password then
        return nil, nil, "Invalid user authorization"
    end
    return consumer, conf
end

local function refuse(conf, message)
    core.response.set_header("WWW-Authenticate", 'Basic realm="' .. conf.realm .. '"')
    return 401, { message = message }
end

function _M.rewrite(conf, ctx)
    local consumer, consumer_conf, err = find_consumer(ctx)
    if not consumer and not conf.anonymous_consumer then
        return refuse(conf, err)
    elseif not consumer then
        consumer, consumer_conf, err = consumers.get_anonymous_consumer(conf.anonymous_consumer)
        if not consumer then
            core.log.error("basic-auth failed to authenticate the request, code: 401. error: ", err)
            return refuse(conf, "Invalid user authorization")
        end
    end
    if conf.hide_credentials then
        core.request.set_header(ctx, "Authorization", nil)
    end
    consumers.attach_consumer(ctx, consumer, consumer_conf)
end

return _M
