-- Owns the HTTP client `resty.http` over cosockets: connections, requests, responses as they come.
-- Source: the documentation of lua-resty-http 0.17 and APISIX's fork 0.2.3, whose names and error texts these are.
-- Must never follow redirects or retry. The parts: resty.http.*, resty.http_connect, resty.http_headers.
local exchange = require "resty.http.exchange"
local gateway = require "resty.http.gateway"
local head = require "resty.http.head"
local http_connect = require "resty.http_connect"
local stepwise = require "resty.http.stepwise"
local uris = require "resty.http.uri"

local ngx_log, ERR = ngx.log, ngx.ERR
local ngx_socket_tcp = ngx.socket.tcp
local pairs, setmetatable, type = pairs, setmetatable, type

local _M = { _VERSION = "0.16.1" } -- of the library that APISIX's fork is made from
_M._USER_AGENT = "lua-resty-http/" .. _M._VERSION .. " (Lua) ngx_lua/" .. ngx.config.ngx_lua_version
local mt = { __index = _M }

exchange.user_agent = _M._USER_AGENT

_M.transfer_encoding_is_chunked = head.is_chunked

local function copy(values)
    local own = {}
    for name, value in pairs(values or {}) do
        own[name] = value
    end
    return own
end

for _, part in pairs({ exchange, gateway, stepwise }) do
    for name, value in pairs(part) do
        if type(value) == "function" then
            _M[name] = value
        end
    end
end

-- A client that is not connected. Returns it, or nil and an error text.
function _M.new()
    local sock, err = ngx_socket_tcp()
    if not sock then
        return nil, err
    end
    return setmetatable({ sock = sock, keepalive = true }, mt)
end

-- Whether the heads of requests are logged, at level debug.
function _M.debug(on)
    exchange.debugging = on == true
end

-- The methods that are the socket's own: set_timeout(ms), set_timeouts(connect, send, read: ms) and their kin.
local SOCKET_METHODS = {
    set_timeout = "settimeout", set_timeouts = "settimeouts",
    get_reused_times = "getreusedtimes", close = "close",
}
for name, method in pairs(SOCKET_METHODS) do
    _M[name] = function(self, ...)
        local sock = self.sock
        if not sock then
            return nil, "not initialized"
        end
        return sock[method](sock, ...)
    end
end

-- connect(options), see resty.http_connect; or as sockets have it: connect(host, port, options?), connect("unix:/…").
function _M.connect(self, options, ...)
    if type(options) == "table" then
        return http_connect(self, options)
    end
    return self:tcp_only_connect(options, ...)
end

-- Give the connection to its pool. Arguments and results as of tcpsock:setkeepalive; when the connection cannot be
-- used again it is closed: 2 and "connection must be closed".
function _M.set_keepalive(self, ...)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    elseif self.keepalive == true then
        return sock:setkeepalive(...)
    end
    local closed, err = sock:close()
    if closed then
        return 2, "connection must be closed"
    end
    return closed, err
end

-- See resty.http.uri.
function _M.parse_uri(_, uri, query_in_path)
    return uris.parse(uri, query_in_path)
end

-- opts: {http_proxy, https_proxy: URIs; http_proxy_authorization, https_proxy_authorization; no_proxy: hosts}
function _M.set_proxy_options(self, opts)
    self.proxy_opts = copy(opts)
end

-- The URI of the proxy for a host, or nil.
function _M.get_proxy_uri(self, scheme, host)
    local opts = self.proxy_opts
    if not opts or uris.is_direct(opts.no_proxy, host) then
        return nil
    end
    return scheme == "http" and opts.http_proxy or scheme == "https" and opts.https_proxy or nil
end

-- The parameters of connect and request for a URI. Returns them, or nil and an error text.
local function params_for(self, uri, given)
    local parts, err = uris.parse(uri, false)
    if not parts then
        return nil, err
    end
    local params = copy(given)
    params.scheme, params.host, params.port = parts[1], parts[2], parts[3]
    params.path, params.query = params.path or parts[4], params.query or parts[5]
    params.ssl_server_name = params.ssl_server_name or params.host
    local proxy = self.proxy_opts or params.proxy_opts
    local authorization = proxy and params.headers and params.headers["Proxy-Authorization"]
    if proxy then
        params.proxy_opts = copy(proxy)
    end
    if authorization then
        params.proxy_opts.https_proxy_authorization = authorization
        params.proxy_opts.http_proxy_authorization = authorization
    end
    return params
end

-- Connect, send a request, read the whole response. params: those of connect and request, and keepalive (false: close
-- the connection), keepalive_timeout (ms), keepalive_pool (connections). Returns a response with `body`, or nil, err.
function _M.request_uri(self, uri, params)
    local ok, res, body, err
    params, err = params_for(self, uri, params)
    if not params then
        return nil, err
    end
    ok, err = self:connect(params)
    if not ok then
        return nil, err
    end
    res, err = self:request(params)
    if res then
        body, err = res:read_body()
    end
    if not body then
        self:close()
        return nil, err
    end
    res.body = body
    if params.keepalive == false then
        ok, err = self:close()
    else
        ok, err = self:set_keepalive(params.keepalive_timeout, params.keepalive_pool)
    end
    if not ok then
        ngx_log(ERR, err)
    end
    return res
end

return _M
