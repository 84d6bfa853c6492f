-- Owns the functions by which user code chooses the certificate that a connection shows, be it the client's or an
-- upstream's. Source: lua-resty-core, ngx.ssl and ngx.ssl.proxysslcert.
local certificate = require "server.tls.certificate"
local ssl = require "server.tls.library"
local types = require "server.tls.types"

local CHAIN_ERRORS = {
    empty = "invalid certificate chain", leaf = "SSL_use_certificate() failed", rest = "SSL_add1_chain_cert() failed",
}

-- Add the functions to module. connection_of(): gives the SSL *, or nil and an error text.
-- Each returns true, or nil and an error text.
return function(module, connection_of)
    local function use_chain(chain, err)
        local connection, why = connection_of()
        if not connection then
            return nil, why
        elseif not types.fits("chain", chain) then
            return nil, err
        end
        local failed = certificate.use_chain(connection, chain)
        if failed then
            return nil, CHAIN_ERRORS[failed]
        end
        return true
    end

    local function use_key(key, err)
        local connection, why = connection_of()
        if not connection then
            return nil, why
        elseif not types.fits("key", key) then
            return nil, err
        elseif not certificate.use_key(connection, key) then
            return nil, "SSL_use_PrivateKey() failed"
        end
        return true
    end

    -- Drop the certificates and keys that the configuration has given.
    function module.clear_certs()
        local connection, err = connection_of()
        if not connection then
            return nil, err
        end
        ssl.SSL_certs_clear(connection)
        return true
    end

    -- Show this chain (of parse_…_cert).
    function module.set_cert(chain)
        return use_chain(chain, CHAIN_ERRORS.empty)
    end

    -- The key (of parse_…_priv_key) of the chain.
    function module.set_priv_key(key)
        return use_key(key, "invalid private key")
    end

    -- The same with DER.
    function module.set_der_cert(der)
        return use_chain(certificate.parse_der_cert(der), "d2i_X509_bio() failed")
    end

    function module.set_der_priv_key(der)
        return use_key(certificate.parse_der_priv_key(der), "d2i_PrivateKey_bio() failed")
    end
end
