-- Owns the variables that tell of the client's TLS connection. Source: nginx, ngx_http_ssl_module, "Embedded
-- Variables". Without TLS, and where there is nothing to tell, they are not found.
local ffi = require "ffi"

local ffi_new, ffi_string = ffi.new, ffi.string
local concat, gsub, format = table.concat, string.gsub, string.format

local SHARED_RAW_CIPHERS, GET_GROUPS, GET_NEGOTIATED_GROUP = 110, 90, 134 -- SSL_CTRL_…
local UNKNOWN_GROUP = 0x1000000
local EARLY_ACCEPTED = 2

local get = {}

local ssl, peer -- loaded with the first TLS connection

-- Have fn(SSL *, r) called where there is one; what is empty is not there.
local function variable(fn)
    return function(r)
        local connection = r.stream.ssl
        if not connection then
            return nil
        end
        ssl = require "server.tls.library"
        peer = require "server.tls.peer"
        local value = fn(connection)
        return value ~= "" and value or nil
    end
end

get.ssl_protocol = variable(function(connection)
    return ffi_string(ssl.SSL_get_version(connection))
end)

get.ssl_cipher = variable(function(connection)
    return ffi_string(ssl.SSL_CIPHER_get_name(ssl.SSL_get_current_cipher(connection)))
end)

-- The name of what the client offers: two bytes of its list.
local function cipher_name(connection, bytes)
    local cipher = ssl.SSL_CIPHER_find(connection, bytes)
    return cipher ~= nil and ffi_string(ssl.SSL_CIPHER_get_name(cipher)) or format("0x%02x%02x", bytes[0], bytes[1])
end

get.ssl_ciphers = variable(function(connection)
    local list = ffi_new("unsigned char *[1]")
    local size = tonumber(ssl.SSL_ctrl(connection, SHARED_RAW_CIPHERS, 0, list))
    local names = {}
    for at = 0, size - 2, 2 do
        names[#names + 1] = cipher_name(connection, list[0] + at)
    end
    return concat(names, ":")
end)

local function group_name(nid)
    if nid >= UNKNOWN_GROUP then
        return format("0x%04x", nid % UNKNOWN_GROUP)
    end
    return ffi_string(ssl.OBJ_nid2sn(nid))
end

get.ssl_curves = variable(function(connection)
    local count = tonumber(ssl.SSL_ctrl(connection, GET_GROUPS, 0, nil))
    local nids, names = ffi_new("int[?]", count + 1), {}
    ssl.SSL_ctrl(connection, GET_GROUPS, 0, nids)
    for i = 1, count do
        names[i] = group_name(nids[i - 1])
    end
    return concat(names, ":")
end)

get.ssl_curve = variable(function(connection)
    local nid = tonumber(ssl.SSL_ctrl(connection, GET_NEGOTIATED_GROUP, 0, nil))
    return nid > 0 and group_name(nid) or nil
end)

get.ssl_session_id = variable(function(connection)
    local session, size = ssl.SSL_get_session(connection), ffi_new("unsigned int[1]")
    if session == nil then
        return nil
    end
    local id = ssl.SSL_SESSION_get_id(session, size)
    return peer.hex(ffi_string(id, size[0]))
end)

get.ssl_session_reused = variable(function(connection)
    return ssl.SSL_session_reused(connection) == 1 and "r" or "."
end)

get.ssl_early_data = variable(function(connection)
    return ssl.SSL_get_early_data_status(connection) == EARLY_ACCEPTED and "1" or nil
end)

get.ssl_server_name = variable(function(connection)
    local name = ssl.SSL_get_servername(connection, 0)
    return name ~= nil and ffi_string(name) or nil
end)

get.ssl_alpn_protocol = variable(function(connection)
    local data, size = ffi_new("const unsigned char *[1]"), ffi_new("unsigned int[1]")
    ssl.SSL_get0_alpn_selected(connection, data, size)
    return ffi_string(data[0], size[0])
end)

get.ssl_client_verify = variable(function(connection)
    if not peer.certificate(connection) then
        return "NONE"
    end
    local code, why = peer.fault(connection)
    return code and "FAILED:" .. why or "SUCCESS"
end)

-- Have fn(X509 *) called where the client has shown a certificate.
local function of_certificate(name)
    return variable(function(connection)
        local x509 = peer.certificate(connection)
        return x509 and peer[name](x509)
    end)
end

get.ssl_client_raw_cert = of_certificate("pem")
get.ssl_client_s_dn = of_certificate("subject")
get.ssl_client_i_dn = of_certificate("issuer")
get.ssl_client_s_dn_legacy = of_certificate("legacy_subject")
get.ssl_client_i_dn_legacy = of_certificate("legacy_issuer")
get.ssl_client_serial = of_certificate("serial")
get.ssl_client_fingerprint = of_certificate("fingerprint")
get.ssl_client_v_start = of_certificate("not_before")
get.ssl_client_v_end = of_certificate("not_after")
get.ssl_client_v_remain = of_certificate("days_left")

-- As it may stand in a header of old: every line but the first begins with a tab.
function get.ssl_client_cert(r)
    local pem = get.ssl_client_raw_cert(r)
    return pem and (gsub(gsub(pem, "\n$", ""), "\n", "\n\t"))
end

function get.ssl_client_escaped_cert(r)
    local pem = get.ssl_client_raw_cert(r)
    return pem and ngx.escape_uri(pem)
end

return { get = get }
