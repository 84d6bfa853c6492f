-- Owns JSON as test files want it: the keys of objects in order, so that texts can be compared; an empty table that was
-- made in Lua is an array, one that was decoded is what it was. Mirrors toolkit.json of api7/test-toolkit; used where
-- no checkout has that.
local cjson = require "cjson.safe".new()

local concat = table.concat
local format, gsub = string.format, string.gsub
local getmetatable, setmetatable = getmetatable, setmetatable
local next, pairs, tostring, type = next, pairs, tostring, type
local sort = table.sort

cjson.decode_array_with_array_mt(true)

local OBJECT = { __jsontype = "object" }

local _M = { null = cjson.null }

-- Mark decoded objects, and leave out their nulls.
local function settle(value)
    if type(value) ~= "table" then
        return value
    end
    local is_array = getmetatable(value) == cjson.array_mt
    for key, each in pairs(value) do
        if each == cjson.null and not is_array then
            value[key] = nil
        else
            settle(each)
        end
    end
    return is_array and value or setmetatable(value, OBJECT)
end

-- Returns the value; or nil, the position, an error. A comma before the end of an object or an array is passed over.
function _M.decode(text)
    local value, err = cjson.decode(text)
    if err then
        value, err = cjson.decode((gsub(text, ",(%s*[%]}])", "%1")))
    end
    if err then
        return nil, 1, err
    end
    return settle(value), #text + 1, nil
end

local function is_array(value)
    if next(value) == nil then
        return getmetatable(value) ~= OBJECT
    end
    for key in pairs(value) do
        if type(key) ~= "number" then
            return false
        end
    end
    return true
end

-- Returns the text. Raises for what JSON cannot say.
function _M.encode(value)
    if type(value) ~= "table" then
        return cjson.encode(value) or error(format("type '%s' is not supported by JSON", type(value)), 2)
    end
    local parts = {}
    if is_array(value) then
        for i = 1, #value do
            parts[i] = _M.encode(value[i])
        end
        return "[" .. concat(parts, ",") .. "]"
    end
    local names, by_name = {}, {}
    for key in pairs(value) do
        local name = tostring(key)
        names[#names + 1], by_name[name] = name, key
    end
    sort(names)
    for i, name in ipairs(names) do
        parts[i] = cjson.encode(name) .. ":" .. _M.encode(value[by_name[name]])
    end
    return "{" .. concat(parts, ",") .. "}"
end

return _M
