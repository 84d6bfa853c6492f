-- Owns what is known of the peer of a TLS connection by its certificate.
local ffi = require "ffi"
local ssl = require "server.tls.library"

local _M = {}

-- The peer's certificate (an X509 *, freed by the collector), or nil when it showed none.
function _M.certificate(connection)
    local x509 = ssl.SSL_get1_peer_certificate(connection)
    return x509 ~= nil and ffi.gc(x509, ssl.X509_free) or nil
end

-- Is the peer's certificate one of that host name or address?
function _M.is_named(connection, name)
    local x509 = _M.certificate(connection)
    return x509 ~= nil and (ssl.X509_check_host(x509, name, #name, 0, nil) == 1
        or ssl.X509_check_ip_asc(x509, name, 0) == 1)
end

return _M
