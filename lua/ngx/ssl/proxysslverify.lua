-- Owns the module ngx.ssl.proxysslverify: the judgement on an upstream's certificate in proxy_ssl_verify_by_lua*.
-- Source: lua-resty-core, ngx.ssl.proxysslverify.
local ffi = require "ffi"
local current = require "server.current"
local ssl = require "server.tls.library"
local types = require "server.tls.types"

local error = error

local _M = { version = "0.1.32" }

local function connection_of()
    local r = current.request
    if not r then
        error("no request found", 3)
    elseif r.phase ~= "proxy_ssl_verify" then
        error("API disabled in the current context", 3)
    end
    return r.upstream_connection.stream.ssl
end

-- Have that be the result of the verification: 0, or one of OpenSSL's X509_V_ERR_… numbers. Returns true.
function _M.set_verify_result(result)
    ssl.SSL_set_verify_result(connection_of(), result)
    return true
end

-- The result so far.
function _M.get_verify_result()
    return tonumber(ssl.SSL_get_verify_result(connection_of()))
end

-- The upstream's certificate (an X509 *), or nil and an error text.
function _M.get_verify_cert()
    local x509 = ssl.SSL_get1_peer_certificate(connection_of())
    if x509 == nil then
        return nil, "get verify result failed"
    end
    return ffi.gc(types.mark("x509", x509), ssl.X509_free)
end

return _M
