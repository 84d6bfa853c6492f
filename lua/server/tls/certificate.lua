-- Owns certificates and private keys in memory: reading and writing them as PEM and DER, giving them to a
-- context or a connection. A chain is a STACK_OF(X509) *, the leaf first. Errors are texts, named after the
-- OpenSSL function as ngx_lua's are; OpenSSL's queue is empty afterwards.
local ffi = require "ffi"
local failure = require "server.tls.failure"
local ssl = require "server.tls.library"
local types = require "server.tls.types"

local gc, ffi_string = ffi.gc, ffi.string
local concat = table.concat
local mark = types.mark

local NO_START_LINE = 0x480006c -- ERR_LIB_PEM and PEM_R_NO_START_LINE: nothing more in a PEM text
local CHAIN, CHAIN_CERT = 88, 89 -- SSL_CTRL_…

local free_x509 = ffi.cast("void *", ssl.X509_free)

local _M = {}

local function free_chain(chain)
    ssl.OPENSSL_sk_pop_free(chain, free_x509)
end

local function new_chain()
    return gc(mark("chain", ssl.OPENSSL_sk_new_null()), free_chain)
end

-- Read text by read(bio, a). Returns what that returns.
local function with_bio(text, read, a)
    local bio = ssl.BIO_new_mem_buf(text, #text)
    if bio == nil then
        failure.clear()
        return nil, "BIO_new_mem_buf() failed"
    end
    local result, err = read(bio, a)
    ssl.BIO_free(bio)
    failure.clear()
    return result, err
end

local function read_pem_chain(bio)
    local x509 = ssl.PEM_read_bio_X509_AUX(bio, nil, nil, nil)
    if x509 == nil then
        return nil, "PEM_read_bio_X509_AUX() failed"
    end
    local chain = new_chain()
    repeat
        ssl.OPENSSL_sk_push(chain, x509)
        x509 = ssl.PEM_read_bio_X509(bio, nil, nil, nil)
    until x509 == nil
    if ssl.ERR_peek_last_error() ~= NO_START_LINE then
        return nil, "PEM_read_bio_X509() failed"
    end
    return chain
end

local function at_end(bio)
    return ssl.BIO_ctrl(bio, 2, 0, nil) == 1 -- BIO_CTRL_EOF
end

local function read_der_chain(bio)
    local x509 = ssl.d2i_X509_bio(bio, nil)
    if x509 == nil then
        return nil, "d2i_X509_bio() failed"
    end
    local chain = new_chain()
    ssl.OPENSSL_sk_push(chain, x509)
    while not at_end(bio) do
        x509 = ssl.d2i_X509_bio(bio, nil)
        if x509 == nil then
            return nil, "d2i_X509_bio() failed in rest of chain"
        end
        ssl.OPENSSL_sk_push(chain, x509)
    end
    return chain
end

-- The passphrase is never asked for at a terminal: without one an empty one is tried.
local function read_pem_key(bio, passphrase)
    local key = ssl.PEM_read_bio_PrivateKey(bio, nil, nil, ffi.cast("char *", passphrase or ""))
    if key == nil then
        return nil, "PEM_read_bio_PrivateKey() failed"
    end
    return gc(mark("key", key), ssl.EVP_PKEY_free)
end

local function read_der_key(bio)
    local key = ssl.d2i_PrivateKey_bio(bio, nil)
    if key == nil then
        return nil, "d2i_PrivateKey_bio() failed"
    end
    return gc(mark("key", key), ssl.EVP_PKEY_free)
end

-- pem: one certificate or more, the leaf first. Returns a chain (freed by the collector), or nil and why not.
function _M.parse_pem_cert(pem)
    return with_bio(pem, read_pem_chain)
end

-- The same of DER, one certificate after the other.
function _M.parse_der_cert(der)
    if #der == 0 then
        return nil, "invalid argument"
    end
    return with_bio(der, read_der_chain)
end

-- Returns an EVP_PKEY * (freed by the collector), or nil and why not. passphrase: of an encrypted key, or nil.
function _M.parse_pem_priv_key(pem, passphrase)
    return with_bio(pem, read_pem_key, passphrase)
end

function _M.parse_der_priv_key(der)
    if #der == 0 then
        return nil, "invalid argument"
    end
    return with_bio(der, read_der_key)
end

-- The DER of an object, by its i2d function.
local function encode(i2d, object)
    local size = i2d(object, nil)
    if size < 0 then
        return nil
    end
    local bytes = ffi.new("unsigned char[?]", size)
    i2d(object, ffi.new("unsigned char *[1]", bytes))
    return ffi_string(bytes, size)
end
_M.encode = encode

-- Returns the DER of all certificates of a PEM text, one after the other; or nil and why not.
function _M.cert_pem_to_der(pem)
    local chain, err = _M.parse_pem_cert(pem)
    if not chain then
        return nil, err
    end
    local parts = {}
    for i = 0, ssl.OPENSSL_sk_num(chain) - 1 do
        parts[i + 1] = encode(ssl.i2d_X509, ssl.OPENSSL_sk_value(chain, i))
    end
    return concat(parts)
end

-- Returns the DER of a private key; or nil and why not.
function _M.priv_key_pem_to_der(pem, passphrase)
    local key, err = _M.parse_pem_priv_key(pem, passphrase)
    if not key then
        return nil, err
    end
    local der = encode(ssl.i2d_PrivateKey, key)
    failure.clear()
    if not der then
        return nil, "i2d_PrivateKey() failed"
    end
    return der
end

local function give(target, chain, use, ctrl)
    if ssl.OPENSSL_sk_num(chain) < 1 then
        return "empty"
    elseif use(target, ssl.OPENSSL_sk_value(chain, 0)) == 0 then
        return "leaf"
    end
    for i = 1, ssl.OPENSSL_sk_num(chain) - 1 do
        if ctrl(target, CHAIN_CERT, 1, ssl.OPENSSL_sk_value(chain, i)) == 0 then
            return "rest"
        end
    end
end

-- Give an SSL * its certificate chain. Returns nil, or which part failed: "empty", "leaf", "rest".
function _M.use_chain(connection, chain)
    local failed = give(connection, chain, ssl.SSL_use_certificate, ssl.SSL_ctrl)
    failure.clear()
    return failed
end

-- Give an SSL * its private key. Returns whether it was taken.
function _M.use_key(connection, key)
    local taken = ssl.SSL_use_PrivateKey(connection, key) == 1
    failure.clear()
    return taken
end

local function slurp(path)
    local file, err = io.open(path, "rb")
    if not file then
        return nil, err
    end
    local text = file:read("*a")
    file:close()
    return text
end

-- Read a PEM file by parse(text). Returns what that returns, or nil and why not.
local function load(path, parse)
    local text, err = slurp(path)
    if not text then
        return nil, err
    end
    return parse(text)
end

-- Give the chain in file `path` and the key in file key_path to an SSL_CTX *. Returns true, or nil and why
-- not, naming the file.
function _M.load(ctx, path, key_path)
    local chain, err = load(path, _M.parse_pem_cert)
    if not chain then
        return nil, 'cannot load certificate "' .. path .. '": ' .. err
    end
    local key
    key, err = load(key_path, _M.parse_pem_priv_key)
    if not key then
        return nil, 'cannot load certificate key "' .. key_path .. '": ' .. err
    end
    ssl.SSL_CTX_ctrl(ctx, CHAIN, 0, nil) -- none is left of another certificate of that kind
    if give(ctx, chain, ssl.SSL_CTX_use_certificate, ssl.SSL_CTX_ctrl) then
        return nil, 'cannot use certificate "' .. path .. '": ' .. failure.describe()
    end
    if ssl.SSL_CTX_use_PrivateKey(ctx, key) == 0 then
        return nil, 'cannot use certificate key "' .. key_path .. '": ' .. failure.describe()
    end
    return true
end

return _M
