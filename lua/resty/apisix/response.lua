-- Owns the runtime's own response functions that APISIX's runtime adds to nginx.
local current = require "server.current"

local _M = {}

-- Run no body filter for this request: its bytes then go from socket to socket. Returns true.
function _M.skip_body_filter_by_lua()
    current.request.skip_body_filter = true
    return true
end

return _M
