-- Owns the watch over the request's fields: whoever keeps a copy of them learns that it is out of date.
-- Source: apisix-nginx-module, resty.apisix.request.
local current = require "server.current"

local _M = {}

-- Whether a field was set, added or cleared since the last clear_request_header().
function _M.is_request_header_set()
    return current.request.headers_changed == true
end

-- Forget the changes so far.
function _M.clear_request_header()
    current.request.headers_changed = nil
end

return _M
