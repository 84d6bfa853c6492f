-- Owns the request for a client's certificate, made while the handshake is under way.
local ffi = require "ffi"
local failure = require "server.tls.failure"
local ssl = require "server.tls.library"

local SET_VERIFY_STORE = 106 -- SSL_CTRL_SET_VERIFY_CERT_STORE
local VERIFY_PEER, FAIL_IF_NO_PEER_CERT = 1, 2

-- A verify callback (int ok, X509_STORE_CTX *) that takes what OpenSSL has found: 1 is good, 0 is not.
pcall(ffi.cdef, "int abs(int number);")
local AS_FOUND = ffi.cast("void *", ffi.C.abs)

local free_name = ffi.cast("void *", ssl.X509_NAME_free)

local _M = {}

local function add_all(store, chain)
    for i = 0, chain and ssl.OPENSSL_sk_num(chain) - 1 or -1 do
        if ssl.X509_STORE_add_cert(store, ssl.OPENSSL_sk_value(chain, i)) == 0 then
            return false
        end
    end
    return true
end

-- The subjects of a chain, as the client is to see them.
local function names_of(chain)
    local names = ffi.gc(ssl.OPENSSL_sk_new_null(), function(stack)
        ssl.OPENSSL_sk_pop_free(stack, free_name)
    end)
    for i = 0, ssl.OPENSSL_sk_num(chain) - 1 do
        local subject = ssl.X509_get_subject_name(ssl.OPENSSL_sk_value(chain, i))
        ssl.OPENSSL_sk_push(names, ssl.X509_NAME_dup(subject))
    end
    return names
end

-- Ask the client of an SSL * for a certificate. clients: the authorities (a chain, or nil) that it is told of; trusted:
-- further ones, or nil; depth: of the chain at most; insist: the handshake fails without a good one.
-- Returns true, or nil and an error text.
function _M.ask_client(connection, clients, trusted, depth, insist)
    ssl.SSL_set_verify(connection, insist and VERIFY_PEER + FAIL_IF_NO_PEER_CERT or VERIFY_PEER,
        insist and AS_FOUND or nil)
    ssl.SSL_set_verify_depth(connection, depth)
    if not clients and not trusted then
        return true
    end
    local store = ffi.gc(ssl.X509_STORE_new(), ssl.X509_STORE_free)
    if not add_all(store, clients) or not add_all(store, trusted) then
        failure.clear()
        return nil, "X509_STORE_add_cert() failed"
    end
    if clients then
        ssl.SSL_set_client_CA_list(connection, ffi.gc(names_of(clients), nil))
    end
    if ssl.SSL_ctrl(connection, SET_VERIFY_STORE, 1, store) == 0 then
        failure.clear()
        return nil, "SSL_set0_verify_cert_store() failed"
    end
    return true
end

return _M
