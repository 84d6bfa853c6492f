-- Owns certificates and private keys of configurations: their encryption in the store, parsing and checking. Must
-- never choose one for a connection, nor log a key. Mirrors apisix.ssl.
local core = require "apisix.core"
local data_encryption = require "apisix.core.data_encryption"
local secret = require "apisix.secret"

local byte = string.byte
local find = string.find
local gsub = string.gsub
local lower = string.lower
local require = require

local STATUS_REQUEST = 5 -- the extension of RFC 6066
local OCSP = 1
local MIN_STATUS_REQUEST = 5 -- bytes: its type and two empty lists

local certificates = core.lrucache.new({ ttl = 3600, count = 1024 })
local private_keys = core.lrucache.new({ ttl = 3600, count = 1024 })

local _M = {}

local function is_pem(text)
    return find(text, "---", 1, true) == 1
end

-- As the Admin API stores a key: what is no PEM is encrypted already, or a reference, and stays.
function _M.aes_encrypt_pkey(key)
    return is_pem(key) and data_encryption.encrypt(key) or key
end

-- The way back; or nil, err.
function _M.aes_decrypt_pkey(key)
    if is_pem(key) then
        return key
    end
    return data_encryption.decrypt(key, "ssl key")
end

-- Can these PEM texts be read? key: as stored, or nil. Returns true, or nil, err.
function _M.validate(cert, key)
    local ngx_ssl = require "ngx.ssl"
    local parsed, err = ngx_ssl.parse_pem_cert(cert)
    if not parsed then
        return nil, "failed to parse cert: " .. err
    elseif key == nil then
        return true
    end
    local plain
    plain, err = _M.aes_decrypt_pkey(key)
    if not plain then
        core.log.error(err)
        return nil, "failed to decrypt previous encrypted key"
    end
    parsed, err = ngx_ssl.parse_pem_priv_key(plain)
    if not parsed then
        return nil, "failed to parse key: " .. err
    end
    return true
end

local function parse_cert(cert)
    return require("ngx.ssl").parse_pem_cert(cert)
end

local function parse_key(key)
    local plain, err = _M.aes_decrypt_pkey(key)
    if not plain then
        core.log.error(err)
        return nil, err
    end
    return require("ngx.ssl").parse_pem_priv_key(plain)
end

local function fetch(cache, parse, text)
    local parsed, err = cache(text, nil, parse, text)
    if not parsed then
        return false, err
    end
    return parsed
end

-- The chain that this PEM text holds, as ngx.ssl wants it, kept; or false, err. The first argument is for logs.
function _M.fetch_cert(_, cert)
    return fetch(certificates, parse_cert, cert)
end

-- The private key, of PEM or as it is stored.
function _M.fetch_pkey(_, key)
    return fetch(private_keys, parse_key, key)
end

function _M.support_client_verification()
    return require("ngx.ssl").verify_client ~= nil
end

local function validate_pair(cert, key)
    if secret.check_secret_uri(cert) or secret.check_secret_uri(key) then
        return true
    end
    return _M.validate(cert, key)
end

local function check_more_pairs(certs, keys)
    certs, keys = certs or {}, keys or {}
    if #certs ~= #keys then
        return nil, "mismatched number of certs and keys"
    end
    for i = 1, #certs do
        local ok, err = validate_pair(certs[i], keys[i])
        if not ok then
            return nil, "failed to handle cert-key pair[" .. i .. "]: " .. err
        end
    end
    return true
end

local function check_client(client)
    if not client then
        return true
    elseif not _M.support_client_verification() then
        return nil, "client tls verify unsupported"
    elseif secret.check_secret_uri(client.ca) then
        return true
    end
    local ok, err = _M.validate(client.ca, nil)
    if not ok then
        return nil, "failed to validate client_cert: " .. err
    end
    return true
end

-- Check an item of /ssls. in_dp: its schema has been checked. Returns true, or nil, err.
function _M.check_ssl_conf(in_dp, conf)
    local ok, err
    if not in_dp then
        ok, err = core.schema.check(core.schema.ssl, conf)
        if not ok then
            return nil, "invalid configuration: " .. err
        end
    end
    ok, err = validate_pair(conf.cert, conf.key)
    if not ok then
        return nil, err
    elseif conf.type == "client" then
        return true
    end
    ok, err = check_more_pairs(conf.certs, conf.keys)
    if not ok then
        return nil, err
    end
    return check_client(conf.client)
end

-- The name that the client asks for, in lower case and without a last dot; else apisix.ssl.fallback_sni; or nil.
-- clienthello: in that phase. Returns nil, err when the connection cannot say.
function _M.server_name(clienthello)
    local name, err
    if clienthello then
        name, err = require("ngx.ssl.clienthello").get_client_hello_server_name()
    else
        name, err = require("ngx.ssl").server_name()
    end
    if err then
        return nil, err
    end
    name = name or core.table.try_read_attr(core.config.local_conf(), "apisix", "ssl", "fallback_sni")
    return name and lower((gsub(name, "%.$", ""))) or nil
end

-- The name that the connection has been opened for.
function _M.session_hostname()
    return require("ngx.ssl").session_hostname()
end

-- In the phase of the client's greeting: the versions to speak, as ngx.ssl.clienthello has them; nil: as they are.
function _M.set_protocols_by_clienthello(protocols)
    if protocols then
        return require("ngx.ssl.clienthello").set_protocols(protocols)
    end
    return true
end

-- Does the client ask for the certificate's status by OCSP?
function _M.get_status_request_ext()
    local extension = require("ngx.ssl.clienthello").get_client_hello_ext(STATUS_REQUEST)
    if not extension then
        return false
    elseif #extension < MIN_STATUS_REQUEST then
        core.log.error("bad ssl client hello extension: extension data error")
        return false
    end
    return byte(extension) == OCSP
end

return _M
