-- Owns the making of TLS contexts (SSL_CTX *) from settings, for both roles; contexts of the same settings
-- are one. Must never know of requests or listeners.
local ffi = require "ffi"
local callbacks = require "server.tls.callbacks"
local certificate = require "server.tls.certificate"
local failure = require "server.tls.failure"
local ssl = require "server.tls.library"

local concat = table.concat
local ipairs, tostring, type = ipairs, tostring, type
local gmatch, lower = string.gmatch, string.lower

local MODE, READ_AHEAD, MIN_PROTO, MAX_PROTO = 33, 41, 123, 124 -- SSL_CTRL_…
local SESS_CACHE_MODE, SET_TICKET_KEYS, SET_GROUPS_LIST, DH_AUTO = 44, 59, 92, 118
local NO_TICKET, CIPHER_PREFERENCE = 0x4000ULL, 0x400000ULL -- SSL_OP_…
local VERIFY_PEER = 1
local PARTIAL_WRITE, MOVING_BUFFER, NO_AUTO_CHAIN, RELEASE_BUFFERS = 1, 2, 8, 16 -- SSL_MODE_…
local OPTIONS = 0x80ULL -- IGNORE_UNEXPECTED_EOF: nginx takes the end of the connection for the end, too
    + 0x20000ULL -- NO_COMPRESSION
    + 0x40000000ULL -- NO_RENEGOTIATION
local PEM = 1 -- X509_FILETYPE_PEM
local CRL_CHECK, CRL_CHECK_ALL = 4, 8 -- X509_V_FLAG_…

-- Oldest first. off: the option that forbids the protocol.
local PROTOCOLS = {
    { name = "SSLv3", off = 0x2000000ULL },
    { name = "TLSv1", off = 0x4000000ULL },
    { name = "TLSv1.1", off = 0x10000000ULL },
    { name = "TLSv1.2", off = 0x8000000ULL },
    { name = "TLSv1.3", off = 0x20000000ULL },
}

local ALL_VERSIONS = 0ULL
local _M = { PROTOCOLS = {} } -- their names
for i, protocol in ipairs(PROTOCOLS) do
    _M.PROTOCOLS[i] = protocol.name
    ALL_VERSIONS = ALL_VERSIONS + protocol.off
end

-- protocols: their names in any case, separated by spaces. Returns the options that forbid the others.
function _M.forbidden(protocols)
    local wanted = {}
    for name in gmatch(lower(protocols), "%S+") do
        wanted[name] = true
    end
    local options = 0ULL
    for _, protocol in ipairs(PROTOCOLS) do
        if not wanted[lower(protocol.name)] then
            options = options + protocol.off
        end
    end
    return options
end

-- Have an SSL * speak those protocols only.
function _M.restrict(connection, protocols)
    ssl.SSL_clear_options(connection, ALL_VERSIONS)
    ssl.SSL_set_options(connection, _M.forbidden(protocols))
end

-- Have an SSL * behave as one made of another SSL_CTX * (of a server).
function _M.switch(connection, ctx)
    ssl.SSL_set_SSL_CTX(connection, ctx)
    ssl.SSL_set_verify(connection, ssl.SSL_CTX_get_verify_mode(ctx), nil)
    ssl.SSL_set_verify_depth(connection, ssl.SSL_CTX_get_verify_depth(ctx))
    ssl.SSL_clear_options(connection, ALL_VERSIONS)
    ssl.SSL_set_options(connection, ssl.SSL_CTX_get_options(ctx))
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

local function set_certificates(ctx, spec)
    for _, pair in ipairs(spec.certificates or {}) do
        local ok, err = certificate.load(ctx, pair[1], pair[2])
        if not ok then
            return err
        end
    end
end

local verified = ffi.cast("int (*)(int ok, void *store)", function()
    return 1 -- the handshake goes on; what was found stands in SSL_get_verify_result
end)

-- What only a server has.
local function serve(ctx, spec, key)
    callbacks.serve(ctx)
    ssl.SSL_CTX_set_session_id_context(ctx, ngx.md5_bin(key), 16)
    ssl.SSL_CTX_set_timeout(ctx, spec.session_timeout)
    ssl.SSL_CTX_ctrl(ctx, SESS_CACHE_MODE, spec.session_cache, nil)
    ssl.SSL_CTX_set_options(ctx, (spec.tickets and 0ULL or NO_TICKET)
        + (spec.prefer_ours and CIPHER_PREFERENCE or 0ULL))
    ssl.SSL_CTX_ctrl(ctx, DH_AUTO, 1, nil)
    if spec.ticket_keys then
        ssl.SSL_CTX_ctrl(ctx, SET_TICKET_KEYS, #spec.ticket_keys, ffi.cast("char *", spec.ticket_keys))
    end
    if spec.curves and ssl.SSL_CTX_ctrl(ctx, SET_GROUPS_LIST, 0, ffi.cast("char *", spec.curves)) == 0 then
        return 'SSL_CTX_set1_curves_list("' .. spec.curves .. '") failed ' .. failure.describe()
    end
    ssl.SSL_CTX_set_verify(ctx, spec.verify and VERIFY_PEER or 0, ffi.cast("void *", verified))
    if spec.client_ca then
        local names = ssl.SSL_load_client_CA_file(spec.client_ca)
        if names == nil or ssl.SSL_CTX_load_verify_locations(ctx, spec.client_ca, nil) == 0 then
            return 'SSL_load_client_CA_file("' .. spec.client_ca .. '") failed ' .. failure.describe()
        end
        ssl.SSL_CTX_set_client_CA_list(ctx, names)
    end
end

local function configure(ctx, spec, key)
    ssl.SSL_CTX_ctrl(ctx, MODE, PARTIAL_WRITE + MOVING_BUFFER + NO_AUTO_CHAIN + RELEASE_BUFFERS, nil)
    ssl.SSL_CTX_ctrl(ctx, READ_AHEAD, 1, nil) -- as much as is there in one call of the system
    ssl.SSL_CTX_ctrl(ctx, MIN_PROTO, 0, nil) -- what the system's openssl.cnf says is not for us
    ssl.SSL_CTX_ctrl(ctx, MAX_PROTO, 0, nil)
    ssl.SSL_CTX_set_options(ctx, OPTIONS + _M.forbidden(spec.protocols))
    if spec.ciphers and ssl.SSL_CTX_set_cipher_list(ctx, spec.ciphers) == 0 then
        return 'SSL_CTX_set_cipher_list("' .. spec.ciphers .. '") failed ' .. failure.describe()
    end
    if spec.key_log then
        callbacks.log_keys(ctx)
    end
    return set_certificates(ctx, spec) or spec.role == "server" and serve(ctx, spec, key) or trust(ctx, spec)
        or spec.conf_commands and conf_commands(ctx, spec)
end

local made = {}

local function append(parts, value)
    if type(value) == "table" then
        parts[#parts + 1] = "{"
        for _, each in ipairs(value) do
            append(parts, each)
        end
        parts[#parts + 1] = "}"
    else
        parts[#parts + 1] = tostring(value)
    end
end

local FIELDS = {
    "role", "protocols", "ciphers", "certificates", "trusted", "crl", "depth", "conf_commands", "key_log",
    "verify", "client_ca", "tickets", "session_cache", "session_timeout", "prefer_ours", "curves", "ticket_keys",
}

local function key_of(spec)
    local parts = {}
    for _, field in ipairs(FIELDS) do
        append(parts, spec[field])
    end
    return concat(parts, "\0")
end

-- The context of spec: {role = "client" | "server", protocols (names), depth, and where wanted ciphers,
-- certificates ({{path, path of its key}, …}), trusted and crl (paths), key_log (true: to the guides),
-- conf_commands ({{name, value}, …}); of a server also tickets, session_cache (SSL_SESS_CACHE_…),
-- session_timeout (seconds), ticket_keys (80 bytes, nil: of its own making), prefer_ours (ciphers), curves, verify
-- (ask for the client's certificate), client_ca (a path)}. Returns an SSL_CTX *, or nil and why not.
function _M.get(spec)
    local key = key_of(spec)
    local ctx = made[key]
    if not ctx then
        local method = spec.role == "server" and ssl.TLS_server_method or ssl.TLS_client_method
        ctx = ffi.gc(ssl.SSL_CTX_new(method()), ssl.SSL_CTX_free)
        local err = configure(ctx, spec, key)
        failure.clear()
        if err then
            return nil, err
        end
        made[key] = ctx
    end
    return ctx
end

return _M
