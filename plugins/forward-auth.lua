-- Owns the question to an authorization service whether a request may pass. Configuration, behaviour and messages are
-- those of APISIX 3.18's plugin of this name. Must never let a client set what the service is to say.
local core = require "apisix.core"
local http = require "resty.http"

local ipairs, pairs = ipairs, pairs

local headers_list = { type = "array", items = { type = "string" }, default = {} }

local schema = {
    type = "object",
    properties = {
        uri = { type = "string", description = "of the service" },
        request_method = { type = "string", enum = { "GET", "POST" }, default = "GET" },
        request_headers = headers_list, -- of the client, to the service
        extra_headers = { -- to the service; their values may contain variables
            type = "object", minProperties = 1, patternProperties = { ["^[^:]+$"] = { type = "string" } },
        },
        upstream_headers = headers_list, -- of the service, to the upstream
        client_headers = headers_list, -- of the service, to a client that is refused
        max_req_body_size = { type = "integer", minimum = 1, default = 64 * 1024 * 1024, description = "bytes" },
        allow_degradation = { type = "boolean", default = false },
        status_on_error = { type = "integer", minimum = 200, maximum = 599, default = 403 },
        ssl_verify = { type = "boolean", default = true },
        timeout = { type = "integer", minimum = 1, maximum = 60000, default = 3000, description = "milliseconds" },
        keepalive = { type = "boolean", default = true },
        keepalive_timeout = { type = "integer", minimum = 1000, default = 60000, description = "milliseconds" },
        keepalive_pool = { type = "integer", minimum = 1, default = 5 },
    },
    required = { "uri" },
}

local _M = { version = 0.1, priority = 2002, name = "forward-auth", schema = schema }

local HTTPS_FIELDS, TLS_FIELDS = { "uri" }, { "ssl_verify" }

function _M.check_schema(conf)
    core.utils.check_https(HTTPS_FIELDS, conf, _M.name)
    core.utils.check_tls_bool(TLS_FIELDS, conf, _M.name)
    return core.schema.check(schema, conf)
end

-- The headers of the question.
local function headers_of(conf, ctx)
    local headers = {
        ["X-Forwarded-Proto"] = core.request.get_scheme(ctx),
        ["X-Forwarded-Method"] = core.request.get_method(),
        ["X-Forwarded-Host"] = core.request.get_host(ctx),
        ["X-Forwarded-Uri"] = ctx.var.request_uri,
        ["X-Forwarded-For"] = core.request.get_remote_client_ip(ctx),
    }
    if conf.request_method == "POST" then
        headers["Content-Encoding"] = core.request.header(ctx, "content-encoding")
    end
    for name, value in pairs(conf.extra_headers or {}) do
        local resolved, err = core.utils.resolve_var(value, ctx.var)
        if err then
            core.log.error("failed to resolve variable in extra header '", name, "': ", value, ": ", err)
        else
            headers[name] = resolved
        end
    end
    for _, name in ipairs(conf.request_headers) do
        headers[name] = headers[name] or core.request.header(ctx, name)
    end
    return headers
end

-- Answer the client as the service has answered.
local function refuse(conf, res)
    for _, name in ipairs(conf.client_headers) do
        core.response.set_header(name, res.headers[name])
    end
    return res.status, res.body
end

function _M.access(conf, ctx)
    local params = {
        method = conf.request_method, headers = headers_of(conf, ctx), ssl_verify = conf.ssl_verify,
        keepalive = conf.keepalive, keepalive_timeout = conf.keepalive_timeout, keepalive_pool = conf.keepalive_pool,
    }
    if conf.request_method == "POST" then
        local body, err = core.request.get_body(conf.max_req_body_size)
        if err then
            core.log.error("failed to read request body: ", err)
            return 413
        end
        params.body = body
    end
    local client = http.new()
    client:set_timeout(conf.timeout)
    local res, err = client:request_uri(conf.uri, params)
    if not res then
        if conf.allow_degradation then
            return
        end
        core.log.warn("failed to process forward auth, err: ", err)
        return conf.status_on_error
    elseif res.status >= 300 then
        return refuse(conf, res)
    end
    for _, name in ipairs(conf.upstream_headers) do
        core.request.set_header(ctx, name, res.headers[name]) -- nil: what the client sent goes
    end
end

return _M
