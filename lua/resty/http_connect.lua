-- Owns connect{…} of resty.http: the peer or the proxy on the way to it, the pool, TLS.
-- Source: the documentation of lua-resty-http, "connect". Must never send a request but the CONNECT to a proxy.
local tls = require "resty.http.tls"
local uris = require "resty.http.uri"

local tostring = tostring

-- The proxy for the options. Returns {uri, host, port, authorization, prefix}, false for none, or nil and an error.
local function proxy_of(self, options, port)
    local chosen = options.proxy_opts or self.proxy_opts
    local secure = options.scheme == "https"
    local uri = chosen and (secure and chosen.https_proxy or not secure and chosen.http_proxy)
    if not uri or uris.is_direct(chosen.no_proxy, options.host) then
        return false
    end
    local parts, err = uris.parse(uri)
    if not parts then
        return nil, err
    elseif parts[1] ~= "http" then
        return nil, "protocol " .. parts[1] .. " not supported for proxy connections"
    end
    local proxy = { uri = uri, host = parts[2], port = parts[3] }
    if secure then
        proxy.authorization = chosen.https_proxy_authorization
    else
        proxy.authorization = chosen.http_proxy_authorization
        -- A proxy is asked for whole URIs (RFC 9112, section 3.2.2).
        proxy.prefix = "http://" .. options.host .. (port == 80 and "" or ":" .. tostring(port))
    end
    return proxy
end

-- A pool's name that no connection to another peer, by another way or with other TLS options has.
local function pool_name(options, port, secure, proxy)
    return (options.scheme or "") .. ":" .. options.host .. ":" .. tostring(port) .. ":"
        .. (secure and tls.pool_part(options) or "")
        .. ":" .. (proxy and proxy.uri or "") .. ":" .. (secure and proxy and proxy.authorization or "")
end

local function dial(sock, options, port, proxy, pool)
    if proxy then
        return sock:connect(proxy.host, proxy.port, pool)
    elseif port then
        return sock:connect(options.host, port, pool)
    end
    return sock:connect(options.host, pool) -- unix:/path
end

-- What a new connection needs before its first request. Returns true and the TLS session, or nil and an error text.
local function prepare(self, options, port, secure, proxy)
    if not secure or self.sock:getreusedtimes() ~= 0 then
        return true
    end
    if proxy then
        self.http_proxy_auth, self.path_prefix = nil, nil
        local ok, err = self:open_tunnel(options.host, port, proxy.authorization)
        if not ok then
            return nil, err
        end
    end
    local session, err = tls.handshake(self, options)
    if not session then
        return nil, err
    end
    return true, session
end

-- Connect the client. options: {scheme = "http" | "https" (nil for a unix socket), host, port (80, 443), pool,
-- pool_size, backlog, ssl_verify (true), ssl_server_name, ssl_send_status_req, ssl_reused_session; a client
-- certificate: ssl_cert_path and ssl_key_path, ssl_cert and ssl_key, or ssl_client_cert and ssl_client_priv_key;
-- proxy_opts}. Returns true, nil and a new connection's TLS session; or nil and an error text.
return function(self, options)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    local port, secure = options.port, options.scheme == "https"
    if options.scheme then
        port = port or (secure and 443 or 80)
    elseif port then
        return nil, "'scheme' is required when providing a port"
    end
    local ok, err = true, nil
    if secure then
        ok, err = tls.check(options)
    end
    local proxy
    if ok then
        proxy, err = proxy_of(self, options, port)
    end
    if proxy == nil then
        return nil, err
    end
    local pool = {
        pool = options.pool or pool_name(options, port, secure, proxy),
        pool_size = options.pool_size, backlog = options.backlog,
    }
    ok, err = dial(sock, options, port, proxy, pool)
    if not ok then
        return nil, err
    end
    self.host, self.port, self.ssl = options.host, port, secure or nil
    local session
    ok, session = prepare(self, options, port, secure, proxy)
    if not ok then
        self:close()
        return nil, session
    end
    self.keepalive = true
    self.http_proxy_auth = proxy and not secure and proxy.authorization or nil
    self.path_prefix = proxy and proxy.prefix or nil
    return true, nil, session
end
