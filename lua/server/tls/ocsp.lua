-- Owns OCSP (RFC 6960) as a server needs it for stapling: where to ask about a certificate, the question, what an
-- answer is worth. Chains are DER, the leaf first and its issuer next; errors are texts in ngx_lua's words.
-- Functions return a chain as their last value where it has to live until they are done: it owns the certificates.
local ffi = require "ffi"
local certificate = require "server.tls.certificate"
local failure = require "server.tls.failure"
local ssl = require "server.tls.library"

local ffi_new, ffi_string, gc = ffi.new, ffi.string, ffi.gc
local format = string.format
local tonumber = tonumber

local NO_VERIFY = 0x10 -- OCSP_NOVERIFY: the issuer's signature is what counts, not who stands behind the issuer
local SKEW = 300 -- seconds that clocks may differ
local GOOD, SUCCESSFUL = 0, 0

local _M = {}

-- The leaf and its issuer, and the chain that owns them; or nil and an error text.
local function read_chain(der)
    local chain = certificate.parse_der_cert(der)
    if not chain then
        return nil, "d2i_X509_bio() failed"
    elseif ssl.OPENSSL_sk_num(chain) < 2 then
        return nil, "no issuer certificate in chain"
    end
    return ssl.OPENSSL_sk_value(chain, 0), ssl.OPENSSL_sk_value(chain, 1), chain
end

-- The first URL that a chain's leaf names, or nil.
local function url_of(chain)
    local urls = ssl.X509_get1_ocsp(ssl.OPENSSL_sk_value(chain, 0))
    local url
    if urls ~= nil and ssl.OPENSSL_sk_num(urls) > 0 then
        url = ffi_string(ffi.cast("const char *", ssl.OPENSSL_sk_value(urls, 0)))
    end
    ssl.X509_email_free(urls)
    return url
end

-- The URL of the responder for the chain's leaf; nil when it names none; nil and an error text.
function _M.responder(der)
    local chain = certificate.parse_der_cert(der)
    local url = chain and url_of(chain)
    if chain and not url then
        return nil
    end
    local leaf, issuer, owner = read_chain(der)
    if not leaf then
        return nil, issuer
    elseif ssl.X509_check_issued(issuer, leaf) ~= 0 then
        return nil, "issuer certificate not next to leaf"
    end
    return url, nil, owner
end

-- The bytes to ask the responder with; or nil and an error text.
function _M.request(der)
    local leaf, issuer, chain = read_chain(der)
    if not leaf then
        return nil, issuer
    end
    local request = gc(ssl.OCSP_REQUEST_new(), ssl.OCSP_REQUEST_free)
    local id = ssl.OCSP_cert_to_id(nil, leaf, issuer)
    if id == nil then
        failure.clear()
        return nil, "OCSP_cert_to_id() failed"
    elseif ssl.OCSP_request_add0_id(request, id) == nil then
        ssl.OCSP_CERTID_free(id)
        failure.clear()
        return nil, "OCSP_request_add0_id() failed"
    end
    local bytes = certificate.encode(ssl.i2d_OCSP_REQUEST, request)
    return bytes, not bytes and "i2d_OCSP_REQUEST() failed" or nil, chain
end

-- The basic response in the bytes of an answer; or nil and an error text.
local function read_answer(bytes)
    local start = ffi_new("const unsigned char *[1]", ffi.cast("const unsigned char *", bytes))
    local response = ssl.d2i_OCSP_RESPONSE(nil, start, #bytes)
    if response == nil then
        return nil, "d2i_OCSP_RESPONSE() failed"
    end
    gc(response, ssl.OCSP_RESPONSE_free)
    local status = ssl.OCSP_response_status(response)
    if status ~= SUCCESSFUL then
        return nil, format("OCSP response not successful (%d: %s)", status,
            ffi_string(ssl.OCSP_response_status_str(status)))
    end
    local basic = ssl.OCSP_response_get1_basic(response)
    if basic == nil then
        return nil, "OCSP_response_get1_basic() failed"
    end
    return gc(basic, ssl.OCSP_BASICRESP_free)
end

local function is_signed_by(basic, issuer)
    local issuers = ssl.OPENSSL_sk_new_null()
    ssl.OPENSSL_sk_push(issuers, issuer)
    local verified = ssl.OCSP_basic_verify(basic, issuers, nil, NO_VERIFY) == 1
    ssl.OPENSSL_sk_free(issuers)
    return verified
end

-- A time as seconds since the epoch.
local function seconds_of(time)
    local epoch = gc(ssl.ASN1_TIME_set(nil, 0), ssl.ASN1_STRING_free)
    local days, seconds = ffi_new("int[1]"), ffi_new("int[1]")
    if ssl.ASN1_TIME_diff(days, seconds, epoch, time) == 0 then
        return nil
    end
    return days[0] * 86400 + seconds[0]
end

-- What basic says of the leaf. Returns true and maybe when it has to be asked again (seconds since the epoch), or
-- nil and an error text.
local function judge(basic, leaf, issuer)
    local id = gc(ssl.OCSP_cert_to_id(nil, leaf, issuer), ssl.OCSP_CERTID_free)
    local status, this, following = ffi_new("int[1]"), ffi_new("void *[1]"), ffi_new("void *[1]")
    if ssl.OCSP_resp_find_status(basic, id, status, nil, nil, this, following) ~= 1 then
        return nil, "certificate status not found in the OCSP response"
    elseif status[0] ~= GOOD then
        return nil, format('certificate status "%s" in the OCSP response',
            ffi_string(ssl.OCSP_cert_status_str(status[0])))
    elseif ssl.OCSP_check_validity(this[0], following[0], SKEW, -1) ~= 1 then
        return nil, "OCSP_check_validity() failed"
    elseif following[0] == nil then
        return true
    end
    local when = seconds_of(following[0])
    return when and true, when or "invalid nextUpdate time in certificate status"
end

-- Is the answer a good one for the chain's leaf? Returns as judge() does.
function _M.validate(bytes, der)
    local basic, err = read_answer(bytes)
    if not basic then
        failure.clear()
        return nil, err
    end
    local leaf, issuer, chain = read_chain(der)
    if not leaf then
        return nil, issuer
    elseif not is_signed_by(basic, issuer) then
        failure.clear()
        return nil, "OCSP_basic_verify() failed"
    end
    local ok, result = judge(basic, leaf, issuer)
    failure.clear()
    return ok, result, chain
end

local GET_STATUS_TYPE, SET_RESPONSE = 127, 71 -- SSL_CTRL_…

-- Staple an answer to the handshake of an SSL *. Returns true; true and "no status req" when the client does not
-- ask for one; or nil and an error text.
function _M.staple(connection, bytes)
    if tonumber(ssl.SSL_ctrl(connection, GET_STATUS_TYPE, 0, nil)) == -1 then
        return true, "no status req"
    end
    local copy = ssl.CRYPTO_malloc(#bytes, "", 0)
    ffi.copy(copy, bytes, #bytes)
    if ssl.SSL_ctrl(connection, SET_RESPONSE, #bytes, copy) ~= 1 then
        ssl.CRYPTO_free(copy, "", 0)
        return nil, "SSL_set_tlsext_status_ocsp_resp() failed"
    end
    return true
end

return _M
