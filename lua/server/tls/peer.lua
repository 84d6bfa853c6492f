-- Owns what is known of the peer of a TLS connection by its certificate. Functions take an X509 * unless told
-- otherwise, and return strings in nginx's form (ngx_http_ssl_module, "Embedded Variables").
local ffi = require "ffi"
local ssl = require "server.tls.library"

local gc, ffi_new, ffi_string = ffi.gc, ffi.new, ffi.string
local gsub, format, byte = string.gsub, string.format, string.byte
local max = math.max

local INFO = 3 -- BIO_CTRL_INFO
local RFC2253 = 0x1110317 -- XN_FLAG_RFC2253
local DIGEST_MAX = 64

local _M = {}

-- The certificate that the peer of an SSL * has shown (freed by the collector), or nil.
function _M.certificate(connection)
    local x509 = ssl.SSL_get1_peer_certificate(connection)
    return x509 ~= nil and gc(x509, ssl.X509_free) or nil
end

-- Is the certificate of the peer of an SSL * one of that host name or address?
function _M.is_named(connection, name)
    local x509 = _M.certificate(connection)
    return x509 ~= nil and (ssl.X509_check_host(x509, name, #name, 0, nil) == 1
        or ssl.X509_check_ip_asc(x509, name, 0) == 1)
end

-- Why the certificate of the peer of an SSL * is not taken: its number and text; nil when it is (or there is none).
function _M.fault(connection)
    local code = tonumber(ssl.SSL_get_verify_result(connection))
    if code ~= 0 then
        return code, ffi_string(ssl.X509_verify_cert_error_string(code))
    end
end

-- What write(bio, …) writes.
local function written(write, ...)
    local bio = ssl.BIO_new(ssl.BIO_s_mem())
    write(bio, ...)
    local start = ffi_new("char *[1]")
    local size = tonumber(ssl.BIO_ctrl(bio, INFO, 0, start))
    local text = size > 0 and ffi_string(start[0], size) or ""
    ssl.BIO_free(bio)
    return text
end

function _M.pem(x509)
    return written(ssl.PEM_write_bio_X509, x509)
end

local function name(get)
    return function(x509)
        return written(ssl.X509_NAME_print_ex, get(x509), 0, RFC2253)
    end
end
_M.subject, _M.issuer = name(ssl.X509_get_subject_name), name(ssl.X509_get_issuer_name)

local function legacy_name(get)
    return function(x509)
        local text = ssl.X509_NAME_oneline(get(x509), nil, 0)
        local copied = ffi_string(text)
        ssl.CRYPTO_free(text, "", 0)
        return copied
    end
end
_M.legacy_subject = legacy_name(ssl.X509_get_subject_name)
_M.legacy_issuer = legacy_name(ssl.X509_get_issuer_name)

function _M.serial(x509)
    return written(ssl.i2a_ASN1_INTEGER, ssl.X509_get_serialNumber(x509))
end

local function hex(bytes)
    return (gsub(bytes, ".", function(c)
        return format("%02x", byte(c))
    end))
end
_M.hex = hex

function _M.fingerprint(x509)
    local digest, size = ffi_new("unsigned char[?]", DIGEST_MAX), ffi_new("unsigned int[1]")
    ssl.X509_digest(x509, ssl.EVP_sha1(), digest, size)
    return hex(ffi_string(digest, size[0]))
end

function _M.not_before(x509)
    return written(ssl.ASN1_TIME_print, ssl.X509_get0_notBefore(x509))
end

function _M.not_after(x509)
    return written(ssl.ASN1_TIME_print, ssl.X509_get0_notAfter(x509))
end

-- The days until the certificate ends, "0" when it has.
function _M.days_left(x509)
    local days, seconds = ffi_new("int[1]"), ffi_new("int[1]")
    if ssl.ASN1_TIME_diff(days, seconds, nil, ssl.X509_get0_notAfter(x509)) == 0 then
        return nil
    end
    return format("%d", max(0, days[0]))
end

return _M
