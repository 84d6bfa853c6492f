-- Owns a plugin that logs what an access log would.
local core = require "apisix.core"

local _M = { version = 0.1, priority = 1, name = "t-log", schema = { type = "object" } }

function _M.check_schema()
    return true
end

function _M.log(_, ctx)
    core.log.warn("response time: ", ctx.var.apisix_upstream_response_time)
end

return _M
