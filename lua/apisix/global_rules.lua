-- Owns /global_rules: plugins that run on every request. Mirrors apisix.global_rules.
local items = require("apisix.plugin.collection")("/global_rules", "global_rule")

local _M = {}

function _M.init_worker()
    items:init_worker()
end

-- Returns all items and their version.
function _M.global_rules()
    return items:all()
end

-- The revision up to which the rules are known.
function _M.get_pre_index()
    return items.object and items.object.prev_index
end

return _M
