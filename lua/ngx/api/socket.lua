-- Owns ngx.socket. Source: the ngx_lua documentation, "ngx.socket.*".
local cosocket = require "server.cosocket"

local socket = { tcp = cosocket.tcp, stream = cosocket.tcp }

-- Returns a connected socket, or nil and an error text.
function socket.connect(host, port, options)
    local sock = cosocket.tcp()
    local ok, err = sock:connect(host, port, options)
    if not ok then
        return nil, err
    end
    return sock
end

return { socket = socket }
