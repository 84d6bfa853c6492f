-- Owns the checking of requests' header fields and bodies against JSON Schema. Configuration, behaviour and messages
-- are those of APISIX 3.18's plugin of this name. Must never pass on a body other than the one that it checked.
local core = require "apisix.core"
local secret = require "apisix.secret"

local ngx = ngx
local decode_args = ngx.decode_args
local lower, sub = string.lower, string.sub
local set_body_data = ngx.req.set_body_data
local type = type

local FORM = "application/x-www-form-urlencoded"

local schema = {
    type = "object",
    properties = {
        body_schema = { type = "object" },
        header_schema = { type = "object" },
        max_req_body_size = { type = "integer", minimum = 1, default = 64 * 1024 * 1024 }, -- bytes
        rejected_code = { type = "integer", minimum = 200, maximum = 599, default = 400 },
        rejected_msg = { type = "string", minLength = 1, maxLength = 256 },
    },
    anyOf = {
        { required = { "header_schema" } },
        { required = { "body_schema" } },
    },
}

local _M = {
    version = 0.1,
    priority = 2800,
    type = "validation",
    name = "request-validation",
    schema = schema,
}

-- Whether a schema of the configuration is one; a reference to a secret is looked up later.
local function check_inner(inner)
    if inner == nil or secret.is_secret_ref(inner) then
        return true
    end
    local validator, err = core.schema.valid(inner)
    if not validator then
        return false, err
    end
    return true
end

function _M.check_schema(conf)
    local ok, err = core.schema.check(schema, conf)
    if ok then
        ok, err = check_inner(conf.body_schema)
    end
    if ok then
        ok, err = check_inner(conf.header_schema)
    end
    return ok, err
end

local function is_form(content_type)
    return content_type ~= nil and sub(lower(content_type), 1, #FORM) == FORM
end

-- Logs `what` and `err`; the client is told the configuration's message, or else err if that is to be `told`.
local function refuse(conf, what, err, told)
    core.log.error(what, err)
    return conf.rejected_code, conf.rejected_msg or (told and err)
end

-- value: what was understood of the body, or nil and why it was not.
local function check_value(conf, value, err)
    if not value then
        return refuse(conf, "failed to decode the req body: ", err, true)
    end
    local ok
    ok, err = core.schema.check(conf.body_schema, value)
    if not ok then
        return refuse(conf, "req schema validation failed: ", err, true)
    end
end

-- What was understood takes the place of the body: of two keys of the same name, say, the upstream's parser may
-- understand another thing.
local function check_json(conf, body)
    local value, err = core.json.decode(body)
    local code, message = check_value(conf, value, err)
    if code then
        return code, message
    end
    set_body_data(core.json.encode(value))
end

local function check_body(conf, ctx, content_type)
    local body, err = core.request.get_body(conf.max_req_body_size, ctx)
    if not body then
        if err then
            return refuse(conf, "failed to get body: ", err)
        end
        return conf.rejected_code, conf.rejected_msg
    end
    if type(content_type) == "table" then -- which of them the upstream goes by is not known
        return refuse(conf, "duplicated Content-Type header")
    end
    if is_form(content_type) then
        return check_value(conf, decode_args(body, 0))
    end
    return check_json(conf, body)
end

function _M.rewrite(conf, ctx)
    local headers = core.request.headers(ctx)
    if conf.header_schema then
        local ok, err = core.schema.check(conf.header_schema, headers)
        if not ok then
            return refuse(conf, "req schema validation failed", err, true)
        end
    end
    if conf.body_schema then
        return check_body(conf, ctx, headers["content-type"])
    end
end

return _M
