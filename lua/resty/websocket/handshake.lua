-- Owns the client's half of the WebSocket handshake. Source: RFC 6455, section 4.1.
local random = require "resty.random"

local concat = table.concat
local gmatch, lower, match = string.gmatch, string.lower, string.match
local type = type

local GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
local KEY_SIZE = 16

local function request_of(target, options, key)
    local protocols = options.protocols
    local host = options.host or target.port and target.address .. ":" .. target.port or "unix_sock"
    local lines = {
        "GET " .. target.path .. " HTTP/1.1", "Upgrade: websocket", "Host: " .. host, "Sec-WebSocket-Key: " .. key,
    }
    if protocols then
        local list = type(protocols) == "table" and concat(protocols, ",") or protocols
        lines[#lines + 1] = "Sec-WebSocket-Protocol: " .. list
    end
    lines[#lines + 1] = "Sec-WebSocket-Version: 13"
    if options.origin then
        lines[#lines + 1] = "Origin: " .. options.origin
    end
    lines[#lines + 1] = "Connection: Upgrade"
    for _, line in ipairs(options.headers or {}) do
        lines[#lines + 1] = line
    end
    return concat(lines, "\r\n") .. "\r\n\r\n"
end

local function field(head, wanted)
    for name, value in gmatch(head, "\r\n([^:\r\n]+):[ \t]*([^\r\n]-)[ \t]*%f[\r%z]") do
        if lower(name) == wanted then
            return value
        end
    end
end

-- Shake hands over sock. target: {address, port, path}; options: as of connect.
-- Returns 1, nil and the head of the answer; or nil, an error text and the head of an answer that is no handshake.
return function(sock, target, options)
    local key = options.key or ngx.encode_base64(random.bytes(KEY_SIZE))
    local ok, err = sock:send(request_of(target, options, key))
    if not ok then
        return nil, "failed to send the handshake request: " .. err
    end
    local head
    head, err = sock:receiveuntil("\r\n\r\n")()
    if not head then
        return nil, "failed to receive response header: " .. err
    end
    if not match(head, "^%s*HTTP/1%.1%s+101%f[%D]") then
        return nil, "bad HTTP response status line: " .. head, head
    elseif field(head, "sec-websocket-accept") ~= ngx.encode_base64(ngx.sha1_bin(key .. GUID)) then
        return nil, 'bad "sec-websocket-accept" response header', head
    end
    return 1, nil, head
end
