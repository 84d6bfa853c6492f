-- Owns the telling of Python hooks (pygw_config_change) about items that were applied. Costs nothing once Python has
-- said that nobody listens. Must never change an item.
local bridge = require "server.bridge"
local json = require "apisix.core.json"

local str_match = string.match

local listening = true

-- directory: the object of core.config.new; id: the item's name; value: nil for one that is gone;
-- revision: of the change, 0 when there is none.
return function(directory, id, value, revision)
    if not listening then
        return
    end
    local key = str_match(directory.key, "/[^/]+$") or "/" .. directory.key
    local text = value ~= nil and json.encode(value, true) or nil
    if directory.single_item then
        id = str_match(key, "[^/]+$")
    end
    listening = bridge.call.config_changed(key, id, text, revision or 0)
end
