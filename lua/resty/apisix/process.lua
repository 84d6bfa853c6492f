-- Owns what APISIX's runtime tells of this process. Source: apisix-nginx-module, resty.apisix.process.
local bridge = require "server.bridge"

local _M = {}

-- When logs were last to be opened anew (USR1), in milliseconds since 1970; 0: never.
function _M.get_last_reopen_ms()
    return bridge.call.last_reopen()
end

return _M
