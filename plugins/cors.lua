-- Owns the headers that let browsers use a route from pages of other origins, and the answers to preflight requests.
-- Configuration, behaviour and messages are those of APISIX 3.18's plugin of this name.
local core = require "apisix.core"
local origins = require "apisix.plugins.cors.origins"
local plugin = require "apisix.plugin"
local schemas = require "apisix.plugins.cors.schema"
local compile = require("resty.core.regex").re_match_compile

local add_header = core.response.add_header
local ipairs = ipairs
local set_header = core.response.set_header

local NAME = "cors"
local ALL_METHODS = "GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE"

local _M = {
    version = 0.1,
    priority = 4000,
    name = NAME,
    schema = schemas.schema,
    metadata_schema = schemas.metadata_schema,
}

local NOT_WITH_CREDENTIALS = {
    "allow_origins", "allow_methods", "allow_headers", "expose_headers", "timing_allow_origins",
}

local function check_credentials(conf)
    for _, name in ipairs(conf.allow_credential and NOT_WITH_CREDENTIALS or {}) do
        if conf[name] == "*" then
            return false, "you can not set '*' for other option when 'allow_credential' is true"
        end
    end
    return true
end

local function check_expressions(list)
    for _, expression in ipairs(list or {}) do
        local ok, err = compile(expression, "j")
        if not ok then
            return false, err
        end
    end
    return true
end

function _M.check_schema(conf, schema_type)
    if schema_type == core.schema.TYPE_METADATA then
        return core.schema.check(schemas.metadata_schema, conf)
    end
    local ok, err = core.schema.check(schemas.schema, conf)
    if ok then
        ok, err = check_credentials(conf)
    end
    if ok then
        ok, err = check_expressions(conf.allow_origins_by_regex)
    end
    if ok then
        ok, err = check_expressions(conf.timing_allow_origins_by_regex)
    end
    return ok, err
end

-- The request's origin, kept since other plugins may change the header; a preflight request ends here.
function _M.rewrite(conf, ctx)
    ctx.original_request_origin = core.request.header(ctx, "Origin")
    if ctx.var.request_method == "OPTIONS" then
        return 200
    end
end

-- What a list or expressions have given counts if it is for the request's origin.
local function for_origin(allowed, origin)
    return (allowed == origin or allowed == "*") and allowed or nil
end

local function by_metadata(names, origin)
    local metadata = plugin.plugin_metadata(NAME)
    local known = metadata and metadata.value.allow_origins
    for _, name in ipairs(known and names or {}) do
        local list = known[name]
        if list and for_origin(origins.by_list(list, origin), origin) then
            return origin
        end
    end
    return nil
end

local function by_route(conf, origin)
    if conf.allow_origins_by_regex then
        return origins.by_regex(conf.allow_origins_by_regex, origin)
    end
    return for_origin(origins.by_list(conf.allow_origins, origin), origin)
end

-- What Access-Control-Allow-Origin says; nil: nothing. The default of allow_origins does not open what the metadata
-- closes.
local function allowed_origin(conf, origin)
    local named = conf.allow_origins_by_metadata
    if not named then
        return by_route(conf, origin)
    end
    return by_metadata(named, origin) or conf.allow_origins ~= "*" and by_route(conf, origin) or nil
end

local function set_headers(conf, ctx, origin)
    ctx.cors_allow_origins = origin
    set_header("Access-Control-Allow-Origin", origin)
    set_header("Access-Control-Allow-Methods", conf.allow_methods == "**" and ALL_METHODS or conf.allow_methods)
    set_header("Access-Control-Max-Age", conf.max_age)
    if conf.expose_headers and conf.expose_headers ~= "" then
        set_header("Access-Control-Expose-Headers", conf.expose_headers)
    end
    local headers = conf.allow_headers
    if headers == "**" then
        headers = core.request.header(ctx, "Access-Control-Request-Headers")
    end
    set_header("Access-Control-Allow-Headers", headers)
    if conf.allow_credential then
        set_header("Access-Control-Allow-Credentials", true)
    end
end

local function timing_origin(conf, origin)
    if conf.timing_allow_origins_by_regex then
        return origins.by_regex(conf.timing_allow_origins_by_regex, origin)
    end
    local list = conf.timing_allow_origins
    return list and for_origin(origins.by_list(list, origin), origin)
end

function _M.header_filter(conf, ctx)
    local origin = ctx.original_request_origin
    if conf.allow_origins ~= "*" then
        add_header("Vary", "Origin")
    end
    local allowed = allowed_origin(conf, origin)
    if allowed then
        set_headers(conf, ctx, allowed)
    end
    local timing = timing_origin(conf, origin)
    if timing then
        ctx.timing_allow_origin = timing
        set_header("Timing-Allow-Origin", timing)
    end
end

return _M
