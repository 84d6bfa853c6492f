-- Owns the TLS side of resty.http's connections: the client's certificate, and the handshake.
-- Source: the documentation of lua-resty-http ("connect") and of APISIX's fork (ssl_cert_path and its kin).
-- Must never choose a peer or a pool.
local ssl = require "ngx.ssl"

local io_open = io.open
local setmetatable, tostring, type = setmetatable, tostring, type

local _M = {}

-- A number for each certificate that was given as an object: its address may be another's later.
local numbers, count = setmetatable({}, { __mode = "k" }), 0

local function identity(value)
    if type(value) ~= "cdata" then
        return value and ngx.md5(tostring(value)) or ""
    end
    if not numbers[value] then
        count = count + 1
        numbers[value] = "#" .. count
    end
    return numbers[value]
end

-- Whether the options of a client certificate belong together. Returns true, or nil and an error text.
function _M.check(options)
    local cert, path = options.ssl_cert, options.ssl_cert_path
    local key, key_path = options.ssl_key, options.ssl_key_path
    if cert and path then
        return nil, "cannot specify both 'ssl_cert' and 'ssl_cert_path'"
    elseif key and key_path then
        return nil, "cannot specify both 'ssl_key' and 'ssl_key_path'"
    elseif (cert or path) and not (key or key_path) then
        return nil, "missing 'ssl_key_path' or 'ssl_key' when 'ssl_cert_path' or 'ssl_cert' is given"
    elseif (key or key_path) and not (cert or path) then
        return nil, "missing 'ssl_cert_path' or 'ssl_cert' when 'ssl_key_path' or 'ssl_key' is given"
    end
    return true
end

-- The part of a pool's name that tells connections of different TLS options from each other.
function _M.pool_part(options)
    return (options.ssl_server_name or "") .. ":" .. (options.ssl_cert_path or identity(_M.certificate(options)))
        .. ":" .. (options.ssl_key_path or "") .. ":" .. tostring(options.ssl_verify ~= false)
end

-- The certificate that was given itself: an object of ngx.ssl or PEM.
function _M.certificate(options)
    return options.ssl_cert or options.ssl_client_cert
end

local function read_file(path)
    local file, err = io_open(path, "rb")
    if not file then
        return nil, err
    end
    local text = file:read("*a")
    file:close()
    return text
end

-- The object of ngx.ssl for a value (one, or PEM), or for the file at path. Returns nil, err if that fails.
local function object(value, path, parse)
    local err
    if path then
        value, err = read_file(path)
    end
    if type(value) == "string" then
        value, err = parse(value)
    end
    return value, err
end

-- Shake hands over the client's socket. Returns the session, or nil and an error text.
function _M.handshake(client, options)
    local sock = client.sock
    local given, path = _M.certificate(options), options.ssl_cert_path
    if given or path then
        local cert, key, ok, err
        cert, err = object(given, path, ssl.parse_pem_cert)
        if cert then
            local own = options.ssl_key or options.ssl_client_priv_key
            key, err = object(own, options.ssl_key_path, ssl.parse_pem_priv_key)
        end
        if not key then
            return nil, err
        end
        ok, err = sock:setclientcert(cert, key)
        if not ok then
            return nil, err
        end
    end
    client.ssl = true
    return sock:sslhandshake(options.ssl_reused_session, options.ssl_server_name, options.ssl_verify ~= false,
        options.ssl_send_status_req)
end

return _M
