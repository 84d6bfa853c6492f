-- Owns the making of TLS contexts (SSL_CTX *) from settings, for both roles; contexts of the same settings
-- are one. Must never know of requests or listeners.
local ffi = require "ffi"
local certificate = require "server.tls.certificate"
local failure = require "server.tls.failure"
local ssl = require "server.tls.library"

local concat = table.concat
local ipairs, tostring = ipairs, tostring
local gmatch = string.gmatch

local MODE, MIN_PROTO, MAX_PROTO = 33, 123, 124 -- SSL_CTRL_…
local PARTIAL_WRITE, MOVING_BUFFER, NO_AUTO_CHAIN, RELEASE_BUFFERS = 1, 2, 8, 16 -- SSL_MODE_…
local OPTIONS = 0x80ULL -- IGNORE_UNEXPECTED_EOF: nginx takes the end of the connection for the end, too
    + 0x20000ULL -- NO_COMPRESSION
    + 0x40000000ULL -- NO_RENEGOTIATION
local PEM = 1 -- X509_FILETYPE_PEM
local CRL_CHECK, CRL_CHECK_ALL = 4, 8 -- X509_V_FLAG_…

-- Oldest first. number: the protocol's own; off: the option that forbids it.
local PROTOCOLS = {
    { name = "SSLv3", number = 0x300, off = 0x2000000ULL },
    { name = "TLSv1", number = 0x301, off = 0x4000000ULL },
    { name = "TLSv1.1", number = 0x302, off = 0x10000000ULL },
    { name = "TLSv1.2", number = 0x303, off = 0x8000000ULL },
    { name = "TLSv1.3", number = 0x304, off = 0x20000000ULL },
}

local _M = {}

-- protocols: their names, separated by spaces. Returns the options that forbid the others.
function _M.forbidden(protocols)
    local wanted = {}
    for name in gmatch(protocols, "%S+") do
        wanted[name] = true
    end
    local options = 0ULL
    for _, protocol in ipairs(PROTOCOLS) do
        if not wanted[protocol.name] then
            options = options + protocol.off
        end
    end
    return options
end

local function trust(ctx, spec)
    if spec.trusted and ssl.SSL_CTX_load_verify_locations(ctx, spec.trusted, nil) == 0 then
        return 'SSL_CTX_load_verify_locations("' .. spec.trusted .. '") failed ' .. failure.describe()
    end
    if spec.crl then
        local store = ssl.SSL_CTX_get_cert_store(ctx)
        local lookup = ssl.X509_STORE_add_lookup(store, ssl.X509_LOOKUP_file())
        if ssl.X509_load_crl_file(lookup, spec.crl, PEM) == 0 then
            return 'X509_load_crl_file("' .. spec.crl .. '") failed ' .. failure.describe()
        end
        ssl.X509_STORE_set_flags(store, CRL_CHECK + CRL_CHECK_ALL)
    end
    ssl.SSL_CTX_set_verify_depth(ctx, spec.depth)
end

-- SSL_CONF_FLAG_FILE, CLIENT, SERVER, SHOW_ERRORS, CERTIFICATE
local CONF_FILE, CONF_CLIENT, CONF_SERVER, CONF_ERRORS, CONF_CERTIFICATE = 2, 4, 8, 16, 32

local function conf_commands(ctx, spec)
    local conf = ssl.SSL_CONF_CTX_new()
    ssl.SSL_CONF_CTX_set_flags(conf, CONF_FILE + CONF_CLIENT + CONF_SERVER + CONF_ERRORS + CONF_CERTIFICATE)
    ssl.SSL_CONF_CTX_set_ssl_ctx(conf, ctx)
    local err
    for _, command in ipairs(spec.conf_commands) do
        if ssl.SSL_CONF_cmd(conf, command[1], command[2]) <= 0 then
            err = 'SSL_CONF_cmd("' .. command[1] .. '", "' .. command[2] .. '") failed ' .. failure.describe()
            break
        end
    end
    if not err and ssl.SSL_CONF_CTX_finish(conf) ~= 1 then
        err = "SSL_CONF_CTX_finish() failed " .. failure.describe()
    end
    ssl.SSL_CONF_CTX_free(conf)
    return err
end

local function configure(ctx, spec)
    ssl.SSL_CTX_ctrl(ctx, MODE, PARTIAL_WRITE + MOVING_BUFFER + NO_AUTO_CHAIN + RELEASE_BUFFERS, nil)
    ssl.SSL_CTX_ctrl(ctx, MIN_PROTO, 0, nil) -- what the system's openssl.cnf says is not for us
    ssl.SSL_CTX_ctrl(ctx, MAX_PROTO, 0, nil)
    ssl.SSL_CTX_set_options(ctx, OPTIONS + _M.forbidden(spec.protocols))
    if spec.ciphers and ssl.SSL_CTX_set_cipher_list(ctx, spec.ciphers) == 0 then
        return 'SSL_CTX_set_cipher_list("' .. spec.ciphers .. '") failed ' .. failure.describe()
    end
    if spec.certificate then
        local ok, err = certificate.load(ctx, spec.certificate, spec.certificate_key)
        if not ok then
            return err
        end
    end
    return trust(ctx, spec) or spec.conf_commands and conf_commands(ctx, spec)
end

local made = {}

local function key_of(spec)
    local parts = {
        spec.role, spec.protocols, tostring(spec.ciphers), tostring(spec.certificate),
        tostring(spec.certificate_key), tostring(spec.trusted), tostring(spec.crl), tostring(spec.depth),
    }
    for _, command in ipairs(spec.conf_commands or {}) do
        parts[#parts + 1] = command[1] .. " " .. command[2]
    end
    return concat(parts, "\0")
end

-- The context of spec: {role = "client" | "server", protocols (names), depth, and where wanted ciphers,
-- certificate and certificate_key, trusted and crl (paths), conf_commands ({{name, value}, …})}.
-- Returns an SSL_CTX *, or nil and why not.
function _M.get(spec)
    local key = key_of(spec)
    local ctx = made[key]
    if not ctx then
        local method = spec.role == "server" and ssl.TLS_server_method or ssl.TLS_client_method
        ctx = ffi.gc(ssl.SSL_CTX_new(method()), ssl.SSL_CTX_free)
        local err = configure(ctx, spec)
        failure.clear()
        if err then
            return nil, err
        end
        made[key] = ctx
    end
    return ctx
end

return _M
