-- Owns /consumer_groups: plugins that several consumers share. Mirrors apisix.consumer_group.
local items = require("apisix.plugin.collection")("/consumer_groups", "consumer_group")

local _M = {}

function _M.init_worker()
    items:init_worker()
end

-- Returns all items and their version.
function _M.consumer_groups()
    return items:all()
end

-- The item of this id, or nil.
function _M.get(id)
    return items:get(id)
end

return _M
