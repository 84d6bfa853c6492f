-- Owns a plugin that opens the plugins' APIs on its route, as public-api does.
local router = require "apisix.router"

local _M = { version = 0.1, priority = 2, name = "t-api", schema = { type = "object" } }

function _M.check_schema()
    return true
end

function _M.access(_, ctx)
    if not router.api.match(ctx) then
        return 404
    end
end

return _M
