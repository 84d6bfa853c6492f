-- Owns the figures of stream listeners. Source: apisix-nginx-module, resty.apisix.stream.metrics.
local _M = {}

-- Returns nil and why: there are no stream listeners here.
function _M.dump()
    return nil, "there is no stream proxy"
end

return _M
