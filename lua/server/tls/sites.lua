-- Owns the TLS contexts of servers: which settings make one, and which server a name asked for belongs to.
-- Source: nginx, ngx_http_ssl_module.
local contexts = require "server.tls.context"
local servers = require "server.http.servers"
local session_caches = require "server.tls.session_cache"

local error, ipairs, pairs, type = error, ipairs, pairs, type
local find, lower, gsub = string.find, string.lower, string.gsub

local SERVER_CACHE, NO_INTERNAL, NO_CACHE = 2, 0x300, 0 -- SSL_SESS_CACHE_…

local _M = {}

-- One path, or an array of them, as pairs of a certificate's and its key's.
local function pairs_of(certificate, key)
    if not certificate then
        return nil
    elseif type(certificate) == "string" then
        certificate, key = { certificate }, { key }
    end
    local found = {}
    for i, path in ipairs(certificate) do
        if not key or not key[i] then
            error('no "ssl_certificate_key" is defined for certificate "' .. path .. '"', 0)
        end
        found[i] = { path, key[i] }
    end
    return found
end

-- How OpenSSL is to keep sessions, and the cache that workers share, or nil.
local function session_cache(outer)
    local setting = outer.settings.ssl_session_cache
    local shared = session_caches.of(setting, outer.settings.ssl_session_timeout)
    if shared or outer.ssl_session_fetch or outer.ssl_session_store then
        return SERVER_CACHE + NO_INTERNAL, shared
    elseif find(setting, "builtin", 1, true) then
        return SERVER_CACHE
    end
    return NO_CACHE
end

-- The context of a server's settings. Raises what is wrong with them.
local function make(server)
    local outer = server.outer
    local conf = outer.settings
    local curves = conf.ssl_ecdh_curve
    local mode, cache = session_cache(outer)
    local ctx, err = contexts.get({
        role = "server", protocols = conf.ssl_protocols, ciphers = conf.ssl_ciphers,
        certificates = pairs_of(conf.ssl_certificate, conf.ssl_certificate_key),
        trusted = conf.ssl_trusted_certificate, client_ca = conf.ssl_client_certificate, crl = conf.ssl_crl,
        verify = conf.ssl_verify_client ~= "off", depth = conf.ssl_verify_depth,
        tickets = conf.ssl_session_tickets, session_cache = mode,
        ticket_keys = cache and conf.ssl_session_tickets and cache:ticket_keys() or nil,
        session_timeout = conf.ssl_session_timeout, prefer_ours = conf.ssl_prefer_server_ciphers,
        curves = curves ~= "auto" and curves, conf_commands = conf.ssl_conf_command,
    })
    if not ctx then
        error(err, 0)
    end
    server.tls_sessions = cache
    return ctx
end

-- The SSL_CTX * of a server (of server.http.servers). server.tls_sessions: its cache of sessions, or nil.
function _M.context(server)
    local ctx = server.tls
    if not ctx then
        ctx = make(server)
        server.tls = ctx
    end
    return ctx
end

local function check_default(server)
    local outer = server.outer
    if not outer.settings.ssl_certificate and not outer.ssl_certificate and not outer.settings.ssl_reject_handshake then
        error('no "ssl_certificate" is defined for a listener with TLS, nor an ssl_certificate handler', 0)
    end
end

-- Make the contexts of all servers of a site (of server.http.servers). Raises what is wrong with one.
function _M.prepare(site)
    check_default(site.default)
    _M.context(site.default)
    for _, names in ipairs({ site.exact, site.suffixes, site.prefixes }) do
        for _, server in pairs(names) do
            _M.context(server)
        end
    end
    for _, each in ipairs(site.regexes) do
        _M.context(each.server)
    end
end

-- The server of a site for the name that a client asks for (nil: none).
function _M.find(site, name)
    return servers.choose(site, { host = name and gsub(lower(name), "%.$", "") })
end

return _M
