-- Owns the making of routers whose paths have no parameters ("/user/:id" is literal).
-- Mirrors apisix.utils.router.
local radixtree = require "radixtree"

local OPTIONS = { no_param_match = true }

local _M = {}

-- routes: as radixtree takes them. Returns a router, or raises as it does.
function _M.new(routes)
    return radixtree.new(routes, OPTIONS)
end

return _M
