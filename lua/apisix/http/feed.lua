-- Owns the telling of what has changed in a watched directory since it was last asked: one change costs
-- one step, not a walk over all items. Must never know what the items are.
--
-- core.config calls the directory's filter for each item that comes, changes or goes, and replaces the
-- array of values only when it has read the whole directory anew. So as long as the array is the same,
-- the noted items are all there is to know; when it is another, all items are compared.
local ipairs = ipairs
local pairs = pairs
local setmetatable = setmetatable
local type = type

local Feed = {}
Feed.__index = Feed

-- Called from the directory's filter with the item, whose value is nil when it has gone.
function Feed:note(item)
    if item.key then
        self.noted[item.key] = item
        self.any = true
    end
end

local function settle(self, key, item)
    local before = self.known[key]
    if before == item then
        return
    end
    if before then
        self.remove(before)
    end
    self.known[key] = item
    if item then
        self.add(item)
    end
end

local function compare_all(self, values)
    local present = {}
    for _, item in ipairs(values) do
        if type(item) == "table" and item.value ~= nil then
            present[item.key] = item
        end
    end
    for key in pairs(self.known) do
        if not present[key] then
            settle(self, key, nil)
        end
    end
    for _, item in ipairs(values) do
        if item and present[item.key] == item then
            settle(self, item.key, item)
        end
    end
end

local function take_noted(self)
    local noted = self.noted
    self.noted, self.any = {}, false
    return noted
end

-- Call add(item) and remove(item) for what changed in object, the result of core.config.new. An item that
-- was replaced is removed, then added. Returns whether the version had changed at all.
function Feed:sync(object)
    local values = object.values
    if self.version == object.conf_version and self.values == values then
        return false
    end
    self.version = object.conf_version
    local noted = take_noted(self)
    if self.values ~= values then
        self.values = values
        compare_all(self, values or {})
        return true
    end
    for key, item in pairs(noted) do
        local current = item.value ~= nil and item or nil
        settle(self, key, current)
    end
    return true
end

-- add, remove: functions of an item.
return function(add, remove)
    return setmetatable({ add = add, remove = remove, known = {}, noted = {} }, Feed)
end
