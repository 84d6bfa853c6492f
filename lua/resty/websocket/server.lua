-- Owns the server's end of a WebSocket connection: the handshake on the running request, then frames over its
-- connection. Source: RFC 6455, section 4.2; the documentation of lua-resty-websocket 0.13.
local endpoint = require "resty.websocket.endpoint"

local find, lower, match = string.find, string.lower, string.match
local setmetatable, tostring, type = setmetatable, tostring, type

local _M = { _VERSION = "0.13" }
local mt = { __index = _M }
endpoint.install(_M)

local GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

-- The request's field of that name, the first where there are several.
local function first(headers, name)
    local value = headers[name]
    if type(value) == "table" then
        value = value[1]
    end
    return value
end

-- Check the request. Returns the answer's Sec-WebSocket-Accept, or nil and what is wrong.
local function check(headers)
    if ngx.req.http_version() ~= 1.1 then
        return nil, "bad http version"
    end
    local upgrade = first(headers, "upgrade")
    if not upgrade or lower(upgrade) ~= "websocket" then
        return nil, 'bad "upgrade" request header: ' .. tostring(upgrade)
    end
    local connection = first(headers, "connection")
    if not connection or not find(lower(connection), "upgrade", 1, true) then
        return nil, 'bad "connection" request header'
    end
    local key = first(headers, "sec-websocket-key")
    if not key then
        return nil, 'bad "sec-websocket-key" request header'
    elseif first(headers, "sec-websocket-version") ~= "13" then
        return nil, 'bad "sec-websocket-version" request header'
    end
    return ngx.encode_base64(ngx.sha1_bin(key .. GUID))
end

-- Send the answer that ends the handshake. Returns true, or nil and an error text.
local function accept(headers, proof)
    local protocols = first(headers, "sec-websocket-protocol")
    if protocols then -- one of them has to be chosen
        ngx.header["Sec-WebSocket-Protocol"] = match(protocols, "^%s*([^,%s]*)")
    end
    ngx.header["Upgrade"] = "websocket"
    ngx.header["Sec-WebSocket-Accept"] = proof
    ngx.header["Content-Type"] = nil
    ngx.status = 101
    local ok, err = ngx.send_headers()
    if not ok then
        return nil, "failed to send response header: " .. (err or "unknown")
    end
    ok, err = ngx.flush(true)
    if not ok then
        return nil, "failed to flush response header: " .. (err or "unknown")
    end
    return true
end

-- Make the running request a WebSocket connection. options: as of endpoint.new, and send_masked = mask what is sent.
-- Returns the server's end, or nil and an error text.
function _M.new(_, options)
    if ngx.headers_sent then
        return nil, "response header already sent"
    end
    ngx.req.read_body()
    local headers = ngx.req.get_headers()
    local proof, err = check(headers)
    if not proof then
        return nil, err
    end
    local ok
    ok, err = accept(headers, proof)
    if not ok then
        return nil, err
    end
    local sock
    sock, err = ngx.req.socket(true)
    if not sock then
        return nil, err
    end
    options = options or {}
    return setmetatable(endpoint.new(sock, options, options.send_masked, true), mt)
end

return _M
