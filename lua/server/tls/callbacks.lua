-- Owns the functions that OpenSSL calls back during a handshake, and the one step of a handshake in which it
-- may do so. They decide nothing: whoever drives the handshake (a guide, see below) is asked outside of any
-- callback, in its task, where it may wait; the callbacks only say "not yet", and then what was decided.
-- Must never be entered from compiled code, which cannot be called back, nor raise an error.
--
-- A guide: {hello, certificate: an answer (1: go on, 0: fail) once it is known, else nil; has_status: an OCSP
-- response is there; session: an SSL_SESSION * to resume, or nil; cache: of server.tls.session_cache, or nil;
-- sessions: an array to gather new sessions in, or nil; key_log: a function(line), or nil}.
local ffi = require "ffi"
local ssl = require "server.tls.library"

local cast, ffi_errno, ffi_string = ffi.cast, ffi.errno, ffi.string
local gc = ffi.gc

local SET_SERVERNAME_CB, SET_STATUS_CB = 53, 63 -- SSL_CTRL_…
local OK, ALERT_FATAL, NO_ACK = 0, 2, 3 -- SSL_TLSEXT_ERR_…
local NOT_YET = -1

local guide -- of the handshake that takes a step

local _M = {}

local hello = cast("int (*)(void *ssl, int *alert, void *arg)", function()
    return guide.hello or NOT_YET
end)

local certificate = cast("int (*)(void *ssl, void *arg)", function()
    return guide.certificate or NOT_YET
end)

local servername = cast("int (*)(void *ssl, int *alert, void *arg)", function()
    return OK -- the server was chosen when the client hello was read
end)

local status = cast("int (*)(void *ssl, void *arg)", function()
    return guide.has_status and OK or NO_ACK
end)

-- The reference that a cache gives is OpenSSL's; of a session that was fetched it takes one of its own.
local session_found = cast("void *(*)(void *ssl, const unsigned char *id, int len, int *copy)",
    function(_, id, size, copy)
        local cache = guide.cache
        copy[0] = cache and 0 or 1
        if not cache then
            return guide.session
        end
        local ok, session = pcall(cache.get, cache, ffi_string(id, size))
        return ok and session or nil
    end)

local session_made = cast("int (*)(void *ssl, void *session)", function(_, session)
    if guide.cache then
        pcall(guide.cache.put, guide.cache, session)
    end
    local sessions = guide.sessions
    if not sessions then
        return 0
    end
    sessions[#sessions + 1] = gc(session, ssl.SSL_SESSION_free)
    return 1
end)

-- The protocols that we speak, in our order of preference.
local ALPN = { "http/1.1", "http/1.0", "http/0.9" }

local alpn = cast([[
    int (*)(void *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *list,
            unsigned int size, void *arg)]],
    function(_, out, outlen, list, size)
        local offered = ffi_string(list, size)
        for _, protocol in ipairs(ALPN) do
            local at = 1
            while at <= size do
                local length = offered:byte(at)
                if offered:sub(at + 1, at + length) == protocol then
                    out[0], outlen[0] = list + at, length
                    return OK
                end
                at = at + 1 + length
            end
        end
        return ALERT_FATAL
    end)

local key_log = cast("void (*)(const void *ssl, const char *line)", function(_, line)
    if guide and guide.key_log then
        guide.key_log(ffi_string(line))
    end
end)

-- Have a server's SSL_CTX * ask its guide.
function _M.serve(ctx)
    ssl.SSL_CTX_set_client_hello_cb(ctx, cast("void *", hello), nil)
    ssl.SSL_CTX_set_cert_cb(ctx, cast("void *", certificate), nil)
    ssl.SSL_CTX_callback_ctrl(ctx, SET_SERVERNAME_CB, cast("void (*)(void)", servername))
    ssl.SSL_CTX_callback_ctrl(ctx, SET_STATUS_CB, cast("void (*)(void)", status))
    ssl.SSL_CTX_sess_set_get_cb(ctx, cast("void *", session_found))
    ssl.SSL_CTX_sess_set_new_cb(ctx, cast("void *", session_made))
    ssl.SSL_CTX_set_alpn_select_cb(ctx, cast("void *", alpn), nil)
end

-- Have an SSL * that is a client's ask its guide when the server asks for a certificate.
function _M.ask_certificate(connection)
    ssl.SSL_set_cert_cb(connection, cast("void *", certificate), nil)
end

-- Have an SSL_CTX * give its secrets to the guides.
function _M.log_keys(ctx)
    ssl.SSL_CTX_set_keylog_callback(ctx, cast("void *", key_log))
end

-- One step of the handshake of an SSL *. Returns nil when it is done, else SSL_get_error's code and errno.
function _M.step(connection, its_guide)
    guide = its_guide
    ssl.ERR_clear_error()
    local rc = ssl.SSL_do_handshake(connection)
    guide = nil
    if rc == 1 then
        return nil
    end
    local errno = ffi_errno()
    return ssl.SSL_get_error(connection, rc), errno
end
jit.off(_M.step)

return _M
