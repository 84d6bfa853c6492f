-- Owns ngx.socket and ngx.req.socket. Source: the ngx_lua documentation.
local cosocket = require "server.cosocket"
local req_socket = require "server.request_socket"
local udp = require "server.udp"

local socket = { tcp = cosocket.tcp, stream = cosocket.tcp, udp = udp.udp }

-- Returns a connected socket, or nil and an error text.
function socket.connect(...)
    local sock = cosocket.tcp()
    local ok, err = sock:connect(...)
    if not ok then
        return nil, err
    end
    return sock
end

return { socket = socket, req = { socket = req_socket } }
