-- Owns the question which configurations in force are a plugin's, wherever they stand, and whether it accepts them.
-- Asked when a plugin is replaced; what requests run with is looked up elsewhere.
local core = require "apisix.core"

local ipairs = ipairs
local match = string.match
local pairs = pairs
local tostring = tostring
local type = type

local DIRECTORIES = {
    "/routes", "/services", "/consumers", "/consumer_groups", "/plugin_configs", "/global_rules",
    "/plugin_metadata",
}

local _M = {}

local function uses(directory, item, name)
    if directory == "/plugin_metadata" then
        return match(item.key, "[^/]+$") == name
    end
    local value = item.value
    return type(value) == "table" and type(value.plugins) == "table" and value.plugins[name] ~= nil
end

-- As they are stored; if the store cannot be read now, copies of what is in force.
local function stored(object)
    local nodes, err = object:read_stored()
    if nodes then
        return nodes
    end
    core.log.warn("cannot read ", tostring(object), " again: ", err, "; going on with what is in force")
    local copies = {}
    for _, item in ipairs(object.values) do
        if item then
            copies[#copies + 1] = {
                key = item.key, value = core.table.deepcopy(item.value), modifiedIndex = item.modifiedIndex,
            }
        end
    end
    return copies
end

local function is_used(directory, object, name)
    for _, item in ipairs(object.values or {}) do
        if item and uses(directory, item, name) then
            return true
        end
    end
    return false
end

local function of_one(name, objects)
    local used = {}
    for directory, object in pairs(objects) do
        if is_used(directory, object, name) then
            local nodes = {}
            for _, node in ipairs(stored(object)) do
                if uses(directory, node, name) then
                    nodes[#nodes + 1] = node
                end
            end
            used[#used + 1] = { object = object, nodes = nodes }
        end
    end
    return used
end

-- names: array of plugins. Returns name -> array of {object (of core.config), nodes (its items that use the plugin, as
-- they are stored)}. Yields.
function _M.of(names)
    local objects = {}
    for _, directory in ipairs(DIRECTORIES) do
        objects[directory] = core.config.fetch_created_obj and core.config.fetch_created_obj(directory)
    end
    local found = {}
    for _, name in ipairs(names) do
        found[name] = of_one(name, objects)
    end
    return found
end

-- Do the loaded plugins accept them all? used: one of the arrays of of(). Returns true, or nil and the first fault.
function _M.check(used)
    for _, part in ipairs(used) do
        for _, node in ipairs(part.object.checker and part.nodes or {}) do
            local ok, err = part.object.checker(core.table.deepcopy(node.value), node.key)
            if not ok then
                return nil, node.key .. ": " .. tostring(err)
            end
        end
    end
    return true
end

-- Take them over anew: their defaults are those of the new code.
function _M.take_again(used)
    for _, part in ipairs(used) do
        part.object:take_again(part.nodes)
    end
end

return _M
