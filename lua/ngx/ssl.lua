-- Owns the module ngx.ssl: certificates and keys of a TLS connection, and what is known of that.
-- Source: lua-resty-core, ngx.ssl.
local ffi = require "ffi"
local address = require "server.address"
local cdefs = require "server.cdefs"
local certificate = require "server.tls.certificate"
local current = require "server.current"
local secrets = require "server.tls.secrets"
local showing = require "server.tls.showing"
local ssl = require "server.tls.library"
local trust = require "server.tls.trust"
local types = require "server.tls.types"

local ffi_string = ffi.string
local error, select = error, select

local _M = {
    version = "0.1.32",
    SSL3_VERSION = 0x0300, TLS1_VERSION = 0x0301, TLS1_1_VERSION = 0x0302, TLS1_2_VERSION = 0x0303,
    TLS1_3_VERSION = 0x0304,
    parse_pem_cert = certificate.parse_pem_cert,
    parse_der_cert = certificate.parse_der_cert,
    parse_der_priv_key = certificate.parse_der_priv_key,
    cert_pem_to_der = certificate.cert_pem_to_der,
    priv_key_pem_to_der = certificate.priv_key_pem_to_der,
}

function _M.parse_pem_priv_key(pem)
    return certificate.parse_pem_priv_key(pem)
end

-- The SSL * of the client's connection, or nil and an error text.
local function connection_of()
    local r = current.request
    if not r then
        error("no request found", 3)
    end
    local stream = r.stream
    local connection = stream and stream.ssl
    if not connection then
        return nil, "bad request"
    end
    return connection
end

showing(_M, connection_of)

-- The name that the client asks for (SNI); nil when it asks for none; nil and an error text.
function _M.server_name()
    local connection, err = connection_of()
    if not connection then
        return nil, err
    end
    local name = ssl.SSL_get_servername(connection, 0)
    return name ~= nil and ffi_string(name) or nil
end

-- The name that the connection's session has been made for; nil when it was made for none; nil and an error text.
-- Source: APISIX's runtime.
function _M.session_hostname()
    local connection, err = connection_of()
    if not connection then
        return nil, err
    end
    local session = ssl.SSL_get_session(connection)
    local name = session ~= nil and ssl.SSL_SESSION_get0_hostname(session) or nil
    return name ~= nil and ffi_string(name) or nil
end

local function raw_address(sockaddr)
    local family = sockaddr.family
    if family == cdefs.AF_INET then
        return ffi_string(sockaddr.in4.addr, 4), "inet"
    elseif family == cdefs.AF_INET6 then
        return ffi_string(sockaddr.in6.addr, 16), "inet6"
    end
    return ffi_string(sockaddr.un.path), "unix"
end

local sockaddr = ffi.new("union pygw_sockaddr")
local size = ffi.new("unsigned int[1]")

local function ask_address(ask)
    local connection, err = connection_of()
    if not connection then
        return nil, err
    end
    size[0] = ffi.sizeof(sockaddr)
    ffi.fill(sockaddr, ffi.sizeof(sockaddr))
    ask(current.request.stream.fd, sockaddr, size)
    return sockaddr
end

-- The address that the client speaks to: its bytes and "inet" or "inet6", or a path and "unix".
-- Returns nil, nil and an error text when there is none.
function _M.raw_server_addr()
    local found, err = ask_address(ffi.C.getsockname)
    if not found then
        return nil, nil, err
    end
    return raw_address(found)
end

-- The client's address, in the same form.
function _M.raw_client_addr()
    local found, err = ask_address(ffi.C.getpeername)
    if not found then
        return nil, nil, err
    end
    return raw_address(found)
end

-- The port that the client speaks to, or nil and an error text.
function _M.server_port()
    local found, err = ask_address(ffi.C.getsockname)
    if not found then
        return nil, err
    elseif found.family == cdefs.AF_UNIX then
        return nil, "unix domain has no port"
    end
    return (select(2, address.format(found)))
end

-- The protocol as a number (one of the …_VERSION), or nil and an error text.
function _M.get_tls1_version()
    local connection, err = connection_of()
    if not connection then
        return nil, err
    end
    return ssl.SSL_version(connection)
end

local NAMES = {
    [_M.SSL3_VERSION] = "SSLv3", [_M.TLS1_VERSION] = "TLSv1", [_M.TLS1_1_VERSION] = "TLSv1.1",
    [_M.TLS1_2_VERSION] = "TLSv1.2", [_M.TLS1_3_VERSION] = "TLSv1.3",
}

-- The name of a protocol's number, or nil and an error text.
function _M.version_name(number)
    local name = NAMES[number]
    return name, not name and "unknown version" or nil
end

-- The protocol's name, or nil and an error text.
function _M.get_tls1_version_str()
    local number, err = _M.get_tls1_version()
    if not number then
        return nil, err
    end
    return _M.version_name(number)
end

-- Ask the client for a certificate (in ssl_certificate_by_lua*). clients: a chain of authorities, whose names it
-- is told, or nil; depth: of its chain at most, nil: the setting's; trusted: further authorities, or nil;
-- insist (of APISIX's runtime): the handshake fails without a good one.
-- Returns true, or nil and an error text.
function _M.verify_client(clients, depth, trusted, insist)
    local connection, err = connection_of()
    local r = current.request
    if r.phase ~= "ssl_cert" then
        return nil, "API disabled in the current context"
    elseif not connection then
        return nil, err
    end
    if clients and not types.fits("chain", clients) or trusted and not types.fits("chain", trusted) then
        return nil, "invalid certificate chain"
    elseif not depth or depth < 0 then
        depth = r.settings.ssl_verify_depth
    end
    return trust.ask_client(connection, clients, trusted, depth, insist)
end

-- Have fn(SSL *, …) called for the client's connection.
local function of_connection(fn)
    return function(a, b, c)
        local connection, err = connection_of()
        if not connection then
            return nil, err
        end
        return fn(connection, a, b, c)
    end
end

-- Each takes how many bytes at most (0: tell how many there are), and returns them, or nil and an error text.
_M.get_client_random = of_connection(secrets.client_random)
_M.get_server_random = of_connection(secrets.server_random)
_M.get_session_master_key = of_connection(secrets.master_key)

-- (length, label, context or nil) -> length bytes, or nil and an error text.
_M.export_keying_material = of_connection(secrets.export)
_M.export_keying_material_early = of_connection(secrets.export_early)

-- The ciphers' numbers that client and server have in common. filter_grease: leave out those that mean nothing.
function _M.get_req_shared_ssl_ciphers(filter_grease)
    local connection, err = connection_of()
    if not connection then
        return nil, err
    end
    return secrets.shared_ciphers(connection, filter_grease ~= false)
end

-- The SSL * of the connection to the upstream that is in use, or nil and an error text.
function _M.get_upstream_ssl_pointer()
    local r = current.request
    if not r then
        error("no request found", 2)
    end
    local connection = r.upstream_connection
    if not connection then
        return nil, "bad upstream"
    elseif not connection.stream.ssl then
        return nil, "not ssl connection"
    end
    return types.mark("connection", connection.stream.ssl)
end

-- The SSL * of the client's connection for other FFI code, or nil and an error text.
function _M.get_req_ssl_pointer()
    local connection, err = connection_of()
    return connection and types.mark("connection", connection), err
end

-- Was the session of an SSL * an old one? Or nil and an error text.
function _M.ssl_session_reused(connection)
    if not types.fits("connection", connection) then
        return nil, "bad ssl"
    end
    return ssl.SSL_session_reused(connection) == 1
end

return _M
