-- Owns the check that a plugin's schema is a JSON schema (of draft 4, 6 or 7) that means something: the validator
-- generator passes over what it does not understand. Must never judge a configuration.
local core = require "apisix.core"

local ipairs = ipairs
local pairs = pairs
local pcall = pcall
local re_find = ngx.re.find
local sort = table.sort
local tostring = tostring
local type = type

local TYPES = {
    array = true, boolean = true, integer = true, null = true, number = true, object = true, string = true,
    ["function"] = true, table = true, -- APISIX's own: values that a file of Lua holds
}
local NUMBERS = {
    "minimum", "maximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "minProperties",
    "maxProperties",
}
local SCHEMAS = { "additionalProperties", "additionalItems", "not", "if", "then", "else", "contains", "propertyNames" }
local LISTS = { "allOf", "anyOf", "oneOf" }
local MAPS = { "properties", "patternProperties", "definitions" }

local _M = {}

local find_fault

-- The fault of the first of a table's values, in the order of its keys.
local function first_fault(children, path)
    local keys = {}
    for key in pairs(children) do
        keys[#keys + 1] = key
    end
    sort(keys, function(a, b)
        return tostring(a) < tostring(b)
    end)
    for _, key in ipairs(keys) do
        local fault = find_fault(children[key], path .. "." .. tostring(key))
        if fault then
            return fault
        end
    end
    return nil
end

local function type_fault(schema, path)
    local types = schema.type
    for _, each in ipairs(type(types) == "table" and types or { types }) do
        if not TYPES[each] then
            return path .. ".type: there is no type " .. tostring(each)
        end
    end
    return nil
end

local function number_fault(schema, path)
    for _, keyword in ipairs(NUMBERS) do
        local value = schema[keyword]
        if value ~= nil and type(value) ~= "number" then
            return path .. "." .. keyword .. " must be a number, it is a " .. type(value)
        end
    end
    return nil
end

local function pattern_fault(pattern, path)
    if type(pattern) ~= "string" then
        return path .. " must be a string, it is a " .. type(pattern)
    end
    local _, _, err = re_find("", pattern)
    return err and path .. ": " .. err
end

local function patterns_fault(schema, path)
    local fault = schema.pattern ~= nil and pattern_fault(schema.pattern, path .. ".pattern")
    local of_properties = type(schema.patternProperties) == "table" and schema.patternProperties or {}
    for pattern in pairs(of_properties) do
        fault = fault or pattern_fault(pattern, path .. ".patternProperties." .. tostring(pattern))
    end
    return fault
end

local function lists_fault(schema, path)
    for _, keyword in ipairs({ "required", "enum" }) do
        local value = schema[keyword]
        if value ~= nil and type(value) ~= "table" and not (keyword == "required" and type(value) == "boolean") then
            return path .. "." .. keyword .. " must be an array, it is a " .. type(value)
        end
    end
    return nil
end

local function children_fault(schema, path)
    for _, keywords in ipairs({ MAPS, LISTS }) do
        for _, keyword in ipairs(keywords) do
            local value = schema[keyword]
            if value ~= nil and type(value) ~= "table" then
                return path .. "." .. keyword .. " must be a table, it is a " .. type(value)
            end
            local fault = value and first_fault(value, path .. "." .. keyword)
            if fault then
                return fault
            end
        end
    end
    for _, keyword in ipairs(SCHEMAS) do
        local fault = schema[keyword] ~= nil and find_fault(schema[keyword], path .. "." .. keyword)
        if fault then
            return fault
        end
    end
    local items = schema.items
    if type(items) == "table" and items[1] then
        return first_fault(items, path .. ".items")
    end
    return items ~= nil and find_fault(items, path .. ".items") or nil
end

function find_fault(schema, path)
    if type(schema) == "boolean" then
        return nil
    elseif type(schema) ~= "table" then
        return path .. " must be a schema, it is a " .. type(schema)
    end
    return type_fault(schema, path) or number_fault(schema, path) or patterns_fault(schema, path)
        or lists_fault(schema, path) or children_fault(schema, path) or nil
end

-- What is wrong with a schema, or nil.
function _M.fault(schema)
    local fault = find_fault(schema, "schema")
    if fault then
        return fault
    end
    local ok, validator, err = pcall(core.schema.valid, core.table.deepcopy(schema))
    if not ok then
        return tostring(validator)
    end
    return not validator and tostring(err) or nil
end

return _M
