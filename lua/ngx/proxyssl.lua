-- Owns the module ngx.proxyssl: what is known of the TLS connection to the upstream.
-- Source: lua-resty-core, ngx.proxyssl.
local ngx_ssl = require "ngx.ssl"
local ssl = require "server.tls.library"

local _M = { version = "0.1.32" }

for _, name in ipairs({ "SSL3_VERSION", "TLS1_VERSION", "TLS1_1_VERSION", "TLS1_2_VERSION", "TLS1_3_VERSION" }) do
    _M[name] = ngx_ssl[name]
end

-- The protocol as a number (one of the …_VERSION), or nil and an error text.
function _M.get_tls1_version()
    local connection, err = ngx_ssl.get_upstream_ssl_pointer()
    if not connection then
        return nil, err
    end
    return ssl.SSL_version(connection)
end

-- Its name, or nil and an error text.
function _M.get_tls1_version_str()
    local number, err = _M.get_tls1_version()
    if not number then
        return nil, err
    end
    return ngx_ssl.version_name(number)
end

return _M
