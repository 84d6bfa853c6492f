-- Owns the rewriting of what the upstream gets: method, URI, Host, header fields. Configuration, behaviour and
-- messages are those of APISIX 3.18's plugin of this name. Must never touch the response.
local core = require "apisix.core"
local headers = require "apisix.plugins.proxy-rewrite.headers"
local schema = require "apisix.plugins.proxy-rewrite.schema"
local secret = require "apisix.secret"
local uri = require "apisix.plugins.proxy-rewrite.uri"

local ngx = ngx
local re_sub = ngx.re.sub
local set_method = ngx.req.set_method

local _M = { version = 0.1, priority = 1008, name = "proxy-rewrite", schema = schema }

-- What regex_uri captured in this request, for templates of other plugins.
core.ctx.register_var("proxy_rewrite_regex_uri_captures", function(ctx)
    return ctx.proxy_rewrite_regex_uri_captures
end)

-- A reference to a secret stands for a pattern that is not known yet.
local function check_regex(pattern, replacement)
    if secret.is_secret_ref(pattern) then
        return true
    end
    local tried = secret.is_secret_ref(replacement) and "" or replacement
    local _, _, err = re_sub("/", pattern, tried, "jo")
    if err then
        return false, "invalid regex_uri(" .. pattern .. ", " .. replacement .. "): " .. err
    end
    return true
end

local function check_regex_uri(regex_uri)
    if #regex_uri % 2 ~= 0 then
        return false, "The length of regex_uri should be an even number"
    end
    for i = 1, #regex_uri, 2 do
        local ok, err = check_regex(regex_uri[i], regex_uri[i + 1])
        if not ok then
            return false, err
        end
    end
    return true
end

function _M.check_schema(conf)
    local ok, err = core.schema.check(schema, conf)
    if ok and conf.regex_uri then
        ok, err = check_regex_uri(conf.regex_uri)
    end
    if ok and conf.headers then
        ok, err = headers.check(conf.headers)
    end
    return ok, err
end

function _M.rewrite(conf, ctx)
    if conf.host then
        ctx.var.upstream_host = conf.host
    end
    local ok, err = uri.rewrite(conf, ctx)
    if not ok then
        core.log.error(err)
        return 500, { error_msg = err }
    end
    if conf.headers then
        headers.rewrite(conf.headers, ctx)
    end
    if conf.method then
        set_method(ngx["HTTP_" .. conf.method])
    end
end

return _M
