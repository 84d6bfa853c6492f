-- Owns what plugins of HTTP ask of the protocols over TCP that APISIX proxies: there are none here, so that they
-- have no metrics either. Mirrors apisix.stream.xrpc.
local _M = {}

-- Give the collector of metrics (a prometheus object) those of the protocols that are configured.
function _M.init_metrics(_)
end

return _M
