-- Owns redirects: to a URI made from variables, to one made from the request's by a regular expression, or to HTTPS.
-- Configuration, behaviour and messages are those of APISIX 3.18's plugin of this name.
local core = require "apisix.core"
local plugin = require "apisix.plugin"
local secret = require "apisix.secret"
local template = require "apisix.plugins.redirect.template"

local find = string.find
local format = string.format
local ngx = ngx
local random = math.random
local re_sub = ngx.re.sub
local sub = string.sub
local type = type
local uri_safe_encode = core.utils.uri_safe_encode

local NAME = "redirect"
local HTTPS_PORT = 443

local schema = {
    type = "object",
    properties = {
        ret_code = { type = "integer", minimum = 200, default = 302 },
        uri = { type = "string", minLength = 2, pattern = template.PATTERN },
        regex_uri = {
            description = "a regular expression for the request's path, and what takes its place",
            type = "array", minItems = 2, maxItems = 2, items = { type = "string" },
        },
        http_to_https = { type = "boolean" },
        encode_uri = { type = "boolean", default = false },
        append_query_string = { type = "boolean", default = false },
    },
    oneOf = {
        { required = { "uri" } },
        { required = { "regex_uri" } },
        { required = { "http_to_https" } },
    },
}

local _M = { version = 0.1, priority = 900, name = NAME, schema = schema }

local function check_substitution(expression, replacement)
    if secret.is_secret_ref(expression) then
        return true
    end
    local tried = secret.is_secret_ref(replacement) and "" or replacement
    local _, _, err = re_sub("/fake_uri", expression, tried, "jo")
    if err then
        return false, format("invalid regex_uri (%s, %s), err:%s", expression, replacement, err)
    end
    return true
end

function _M.check_schema(conf)
    local ok, err = core.schema.check(schema, conf)
    if not ok then
        return false, err
    end
    if conf.regex_uri then
        ok, err = check_substitution(conf.regex_uri[1], conf.regex_uri[2])
        if not ok then
            return false, err
        end
    end
    if conf.http_to_https and conf.append_query_string then
        return false, "only one of `http_to_https` and `append_query_string` can be configured."
    end
    return true
end

-- Where HTTPS is spoken, by plugin_attr or else one of apisix.ssl.listen; nil when nothing says.
local function https_port()
    local attr = plugin.plugin_attr(NAME)
    if attr and attr.https_port then
        return attr.https_port
    end
    local ssl = core.table.try_read_attr(core.config.local_conf(), "apisix", "ssl")
    local listen = ssl and ssl.enable and ssl.listen
    if not listen or #listen == 0 then
        return nil
    end
    local chosen = listen[random(1, #listen)]
    return type(chosen) == "table" and chosen.port or chosen
end

local function to_https()
    local port = https_port()
    local method = ngx.req.get_method()
    local code = (method == "GET" or method == "HEAD") and 301 or 308 -- 308 keeps the method
    if not port or port == HTTPS_PORT or port <= 0 or port > 65535 then
        return "https://$host$request_uri", code
    end
    return "https://$host:" .. port .. "$request_uri", code
end

local function is_to_go_to_https(conf, ctx)
    local scheme = core.request.header(ctx, "X-Forwarded-Proto") or core.request.get_scheme(ctx)
    return conf.http_to_https and scheme ~= "https"
end

-- Returns nil when the expression does not match, or false after an error.
local function substitute(conf, ctx)
    local expression, replacement = conf.regex_uri[1], conf.regex_uri[2]
    local made, count, err = re_sub(ctx.var.uri, expression, replacement, "jo")
    if not made then
        core.log.error(format("failed to substitute the uri:%s (%s) with %s, error:%s", ctx.var.uri, expression,
            replacement, err))
        return false
    end
    return count > 0 and made or nil
end

local function encode(uri)
    local query = find(uri, "?", 1, true)
    if not query then
        return uri_safe_encode(uri)
    end
    return uri_safe_encode(sub(uri, 1, query - 1)) .. sub(uri, query)
end

local function finish(conf, ctx, uri)
    local separator = find(uri, "?", 1, true) and "&" or "?"
    if conf.encode_uri then
        uri = encode(uri)
    end
    if conf.append_query_string and ctx.var.is_args == "?" then
        uri = uri .. separator .. (ctx.var.args or "")
    end
    return uri
end

function _M.rewrite(conf, ctx)
    local source, code = conf.uri, conf.ret_code
    if is_to_go_to_https(conf, ctx) then
        source, code = to_https()
    end
    local uri
    if source then
        uri = template.render(source, ctx.var)
    elseif conf.regex_uri then
        uri = substitute(conf, ctx)
    end
    if uri == false then
        return 500
    elseif uri then
        core.response.set_header("Location", finish(conf, ctx, uri))
        return code
    end
end

return _M
