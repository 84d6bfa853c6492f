-- Owns the request to a provider: body, place, headers, credentials; and sending it. Source: APISIX 3.18's
-- documentation of ai-proxy. Must never let a client's query take the place of a configured credential.
local core = require "apisix.core"
local google = require "apisix.utils.google-cloud-oauth"
local http_client = require "apisix.utils.http"
local lrucache = require "resty.lrucache"
local plugin = require "apisix.plugin"
local url = require "socket.url"

local getenv = os.getenv
local getmetatable, next, pairs, tonumber, tostring, type = getmetatable, next, pairs, tonumber, tostring, type
local lower = string.lower
local md5 = ngx.md5

local NO_PATH = "could not resolve upstream path: ensure the route or request body specifies a model, "
    .. "or that override.endpoint includes a path"

-- What is of the client's connection, or of this request's own making.
local NOT_FORWARDED = {
    "host", "content-length", "accept-encoding", "transfer-encoding", "connection", "keep-alive", "te", "expect",
    "upgrade", "proxy-connection",
}

local _M = {}

local tokens = lrucache.new(256)

-- Whether a value is an object of JSON, and not an array or a mark.
local function is_object(value)
    if type(value) ~= "table" or getmetatable(value) == core.json.array_mt then
        return false
    end
    local key = next(value)
    return key == nil or type(key) == "string"
end

-- Merge patch into target: objects by their fields, all else as a whole. force: what is there gives way.
local function merge(target, patch, force)
    for name, value in pairs(patch) do
        if is_object(value) and is_object(target[name]) then
            merge(target[name], value, force)
        elseif target[name] == nil or force then
            target[name] = value
        end
    end
end

-- Make the body what the provider is to get. Returns whether that has changed it.
function _M.shape(body, conf, protocol, name, provider, place)
    local override, changed = conf.override or {}, false
    if protocol.prepare then
        changed = protocol.prepare(body)
    end
    for option, value in pairs(conf.options or {}) do
        body[option], changed = value, true
    end
    local limit = override.llm_options and override.llm_options.max_tokens
    if limit and place and place.limit then
        if place.instead_of then
            body[place.instead_of] = nil
        end
        body[place.limit], changed = limit, true
    end
    local patch = override.request_body and override.request_body[name]
    if patch then
        merge(body, patch, override.request_body_force_override)
        changed = true
    end
    if provider.without_model and body.model ~= nil then
        body.model, changed = nil, true
    end
    return changed
end

local function headers_of(conf, ctx)
    local headers = {}
    for name, value in pairs(core.request.headers(ctx)) do
        headers[lower(name)] = value
    end
    for _, name in pairs(NOT_FORWARDED) do
        headers[name] = nil
    end
    for name, value in pairs(conf.auth.header or {}) do
        headers[lower(name)] = value
    end
    headers["content-type"] = "application/json"
    return headers
end

-- A token of Google's for a service account, kept until it is about to expire. Returns it, or nil and an error text.
local function google_token(conf)
    local account = conf.service_account_json or getenv("GCP_SERVICE_ACCOUNT") or ""
    local key = md5(account .. "|" .. tostring(conf.expire_early_secs) .. "|" .. tostring(conf.max_ttl))
    local token = tokens:get(key)
    if token then
        return token
    end
    local credentials, err = core.json.decode(account ~= "" and account or "{}")
    if not credentials then
        return nil, "invalid gcp service account json: " .. (err or "unknown error")
    end
    local oauth = google.new(credentials)
    token = oauth:generate_access_token()
    if not token then
        return nil, "failed to get google oauth token"
    end
    local ttl, early = oauth.access_token_ttl or 3600, conf.expire_early_secs or 0
    ttl = ttl > early and ttl - early or ttl
    tokens:set(key, token, conf.max_ttl and ttl > conf.max_ttl and conf.max_ttl or ttl)
    return token
end

local function resolve(value, conf)
    if type(value) == "function" then
        return value(conf) or nil
    end
    return value
end

local function query_of(conf, endpoint, client_args)
    local query = {}
    for name, value in pairs(core.string.decode_args(endpoint and endpoint.query or "")) do
        query[name] = value
    end
    for name, value in pairs(client_args or {}) do
        query[name] = value
    end
    for name, value in pairs(conf.auth.query or {}) do
        query[name] = value
    end
    return query
end

-- The request's parameters, as of resty.http. place: of apisix.plugins.ai-proxy.providers, nil: the client's own path.
-- Returns them; or nil, an error text and the status to answer with.
function _M.build(conf, ctx, provider, place, body)
    local endpoint = conf.override and conf.override.endpoint
    endpoint = endpoint and url.parse(endpoint) or nil
    local scheme = endpoint and endpoint.scheme or "https"
    local where = conf.provider_conf or {}
    local host = endpoint and endpoint.host or place and resolve(place.host, where) or provider.host
    local path, client_args = endpoint and endpoint.path, nil
    if not place then
        path = path or ctx.var.uri
        client_args = core.string.decode_args(ctx.var.args or "")
    end
    path = path or place and resolve(place.path, where)
    if not path then
        return nil, NO_PATH, 400
    elseif not host then
        return nil, "no host: override.endpoint is required", 500
    end
    local headers = headers_of(conf, ctx)
    if conf.auth.gcp then
        local token, err = google_token(conf.auth.gcp)
        if not token then
            return nil, "failed to get gcp access token: " .. err, 500
        end
        headers["authorization"] = "Bearer " .. token
    end
    return {
        method = place and "POST" or core.request.get_method(),
        scheme = scheme, host = host, port = endpoint and tonumber(endpoint.port) or scheme == "https" and 443 or 80,
        path = path, query = query_of(conf, endpoint, client_args), headers = headers, body = body,
        ssl_verify = conf.ssl_verify, ssl_server_name = host,
    }
end

-- Send a request. timeout: milliseconds for each wait. Returns a response of resty.http and its client, or nil, err.
function _M.send(params, timeout)
    local attr = plugin.plugin_attr("ai-proxy") or {}
    local client, err = http_client.new(attr.http_client)
    if not client then
        return nil, "failed to create http client: " .. (err or "unknown")
    end
    client:set_timeout(timeout)
    local ok
    ok, err = client:connect(params)
    if not ok then
        return nil, "connect: " .. (err or "unknown")
    end
    if type(params.body) ~= "string" then
        params.body = core.json.canonical_encode(params.body)
    end
    local res
    res, err = client:request(params)
    if not res then
        client:close()
        return nil, "request: " .. (err or "unknown")
    end
    return res, client
end

return _M
