-- Owns the module ngx.ssl.proxysslcert: the certificate that is shown to an upstream, chosen when it asks for one
-- (proxy_ssl_certificate_by_lua*). Source: lua-resty-core, ngx.ssl.proxysslcert.
local current = require "server.current"

local error = error

local _M = { version = "0.1.32" }

require "server.tls.showing"(_M, function()
    local r = current.request
    if not r then
        error("no request found", 4)
    end
    local upstream = r.upstream_connection
    if not upstream then
        return nil, "bad request"
    end
    local connection = upstream.stream.ssl
    return connection, not connection and "bad upstream connection" or nil
end)

return _M
