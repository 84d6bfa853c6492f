-- Owns the client's end of a WebSocket connection: connecting, TLS, the handshake, the connection pool.
-- Source: RFC 6455, section 4.1; the documentation of lua-resty-websocket 0.13.
local endpoint = require "resty.websocket.endpoint"
local handshake = require "resty.websocket.handshake"

local assert, setmetatable, tostring, type = assert, setmetatable, tostring, type
local find, match = string.find, string.match

local _M = { _VERSION = "0.13" }
local mt = { __index = _M }
endpoint.install(_M)

-- A client's end that is not connected. options: as of endpoint.new, and send_unmasked = do not mask what is sent
-- (which a server has to refuse). Returns it, or nil and an error text.
function _M.new(_, options)
    options = options or {}
    local self = endpoint.new(ngx.socket.tcp(), options, not options.send_unmasked, false)
    self.ends_by_close = true
    return setmetatable(self, mt)
end

-- What an URI says: {ssl, address, port (nil for a unix socket), path}, or nil and why it is none.
local function parse(uri)
    local scheme, address, port, path
    if find(uri, "unix:", 1, true) then
        scheme, address, path = match(uri, "^(wss?)://(unix:[^:]+):(.*)$")
    else
        scheme, address, port, path = match(uri, "^(wss?)://([^:/]+):(%d+)(.*)$")
        if not scheme then
            scheme, address, path = match(uri, "^(wss?)://([^:/]+)(.*)$")
            port = scheme == "wss" and 443 or 80
        end
    end
    if not scheme then
        return nil, "bad websocket uri"
    end
    return { ssl = scheme == "wss", address = address, port = port, path = path == "" and "/" or path }
end

local TEXTS = {
    server_name = "SSL server_name must be a string", host = "custom host header must be a string",
    key = "custom Sec-WebSocket-Key must be a string",
}

-- What is wrong with the options of connect, or nil.
local function bad_options(options)
    if options.headers ~= nil and type(options.headers) ~= "table" then
        return "custom headers must be a table"
    end
    for name, text in pairs(TEXTS) do
        if options[name] ~= nil and type(options[name]) ~= "string" then
            return text
        end
    end
end

local function open(sock, target, options)
    local pool = { pool = options.pool, pool_size = options.pool_size, backlog = options.backlog }
    local ok, err
    if target.port then
        ok, err = sock:connect(target.address, target.port, pool)
    else
        ok, err = sock:connect(target.address, pool)
    end
    if not ok then
        return nil, "failed to connect: " .. err
    end
    return true
end

local function begin_tls(sock, target, options)
    if options.client_cert then
        local ok, err = sock:setclientcert(options.client_cert, options.client_priv_key)
        if not ok then
            return nil, "failed to set TLS client certificate: " .. err
        end
    end
    local name = options.server_name or options.host or target.address
    local ok, err = sock:sslhandshake(false, name, options.ssl_verify)
    if not ok then
        return nil, "ssl handshake failed: " .. err
    end
    return true
end

-- Connect to ws://HOST[:PORT][/PATH], wss://… or ws://unix:/SOCKET:/PATH. options: {protocols = a string or an
-- array, origin, headers = array of "name: value", host = the Host field, key = the Sec-WebSocket-Key, ssl_verify,
-- server_name, client_cert, client_priv_key, pool, pool_size, backlog}.
-- Returns 1, nil and the head of the answer ("connection reused" for a connection from the pool); or nil, an error
-- text and, when the server's answer is no, its head.
function _M.connect(self, uri, options)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    local target, err = parse(uri)
    if not target then
        return nil, err
    end
    options = options or {}
    assert(not options.client_cert or options.client_priv_key, "client_priv_key must be provided with client_cert")
    local ok
    err = bad_options(options)
    if err then
        return nil, err
    end
    ok, err = open(sock, target, options)
    if not ok then
        return nil, err
    end
    self.fatal, self.closed, self.frame.text = nil, nil, ""
    local reused
    reused, err = sock:getreusedtimes()
    if not reused then
        return nil, "failed to get reused times: " .. tostring(err)
    elseif reused > 0 then
        return 1, nil, "connection reused"
    end
    if target.ssl then
        ok, err = begin_tls(sock, target, options)
        if not ok then
            return nil, err
        end
    end
    return handshake(sock, target, options)
end

-- Close the connection, with a close frame when none was sent. Returns 1, or nil and an error text.
function _M.close(self)
    if self.fatal then
        return nil, "fatal error already happened"
    elseif not self.sock then
        return nil, "not initialized"
    end
    if not self.closed then
        local sent, err = self:send_close()
        if not sent then
            return nil, "failed to send close frame: " .. err
        end
    end
    return self.sock:close()
end

-- Give the connection to the pool; arguments and results as of tcpsock:setkeepalive.
function _M.set_keepalive(self, ...)
    if not self.sock then
        return nil, "not initialized"
    end
    return self.sock:setkeepalive(...)
end

return _M
