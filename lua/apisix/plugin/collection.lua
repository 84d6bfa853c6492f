-- Owns what the directories of nothing but plugins have in common: /plugin_configs, /consumer_groups and
-- /global_rules. Must never know what one of them is for.
local core = require "apisix.core"
local plugin = require "apisix.plugin"

local error = error
local setmetatable = setmetatable

local Collection = {}
Collection.__index = Collection

local function filter(item)
    if item.value and item.value.plugins then
        plugin.set_plugins_meta_parent(item.value.plugins, item)
    end
end

-- Begin to watch. Raises when the directory cannot be watched at all.
function Collection:init_worker()
    local object, err = core.config.new(self.key, {
        automatic = true,
        item_schema = core.schema[self.schema],
        checker = plugin.plugin_checker,
        filter = filter,
    })
    if not object then
        error("failed to sync " .. self.key .. ": " .. err)
    end
    self.object = object
end

-- Returns the items (with false where one was removed) and their version; nil before init_worker.
function Collection:all()
    local object = self.object
    if not object then
        return nil, nil
    end
    return object.values, object.conf_version
end

-- The item of this id, or nil.
function Collection:get(id)
    return self.object:get(id)
end

-- key: the directory; schema: the name of its items' schema in core.schema.
return function(key, schema)
    return setmetatable({ key = key, schema = schema }, Collection)
end
