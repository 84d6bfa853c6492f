-- Owns the older way of resty.http to a connection, step by step: TCP, a proxy, TLS. Source: the documentation of
-- lua-resty-http, which says of these that connect{…} is to be preferred. Must never choose a pool's name.
local uris = require "resty.http.uri"

local ngx_log, DEBUG = ngx.log, ngx.DEBUG
local type = type

local _M = {}

-- Arguments and results as of tcpsock:connect.
function _M.tcp_only_connect(self, host, port, ...)
    ngx_log(DEBUG, "Use of deprecated `connect` method signature")
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    self.host = host
    self.port = type(port) == "number" and port or nil -- a unix socket has none
    self.keepalive, self.ssl = true, false
    self.http_proxy_auth, self.path_prefix = nil, nil
    return sock:connect(host, port, ...)
end

-- Arguments and results as of tcpsock:sslhandshake.
function _M.ssl_handshake(self, ...)
    ngx_log(DEBUG, "Use of deprecated function `ssl_handshake`")
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    self.ssl = true
    return sock:sslhandshake(...)
end

-- Connect to the proxy of proxy_uri, and through it to host and port when scheme is "https".
-- Returns as tcpsock:connect, or nil and an error text.
function _M.connect_proxy(self, proxy_uri, scheme, host, port, authorization)
    ngx_log(DEBUG, "Use of deprecated function `connect_proxy`")
    local parts, err = uris.parse(proxy_uri, false)
    if not parts then
        return nil, err
    elseif parts[1] ~= "http" then
        return nil, "protocol " .. parts[1] .. " not supported for proxy connections"
    end
    local connected
    connected, err = self:tcp_only_connect(parts[2], parts[3])
    if not connected then
        return nil, err
    end
    if scheme == "https" then
        local ok
        ok, err = self:open_tunnel(host, port, authorization)
        if not ok then
            return nil, err
        end
    end
    return connected
end

-- Ask the proxy at the other end for a tunnel to host and port. Returns true, or nil and an error text.
function _M.open_tunnel(self, host, port, authorization)
    local target = host .. ":" .. port
    local res, err = self:request({
        method = "CONNECT", path = target,
        headers = { ["Host"] = target, ["Proxy-Authorization"] = authorization },
    })
    if not res then
        return nil, err
    elseif res.status < 200 or res.status > 299 then
        return nil, "failed to establish a tunnel through a proxy: " .. res.status
    end
    return true
end

return _M
