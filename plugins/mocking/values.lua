-- Owns values that fit a JSON schema: those of its examples, else random ones. Must never check a schema: what it does
-- not understand yields no value.
local char, lower = string.char, string.lower
local concat = table.concat
local floor, random = math.floor, math.random
local pairs = pairs
local type = type

local MAX_LETTERS = 10
local MAX_ITEMS = 3
local MAX_NUMBER = 10000

local value_for

local function letters()
    local word = {}
    for i = 1, random(MAX_LETTERS) do
        word[i] = char(random(97, 122))
    end
    return concat(word)
end

local makers = {}

function makers.string(schema)
    local example = schema.example
    return type(example) == "string" and example or letters()
end

function makers.number(schema)
    local example = schema.example
    return type(example) == "number" and example or random() * MAX_NUMBER
end

function makers.integer(schema)
    local example = schema.example
    return type(example) == "number" and floor(example) or random(MAX_NUMBER)
end

function makers.boolean(schema)
    local example = schema.example
    if type(example) == "boolean" then
        return example
    end
    return random(0, 1) == 1
end

function makers.array(schema)
    if not schema.items then
        return nil
    end
    local array = {}
    for _ = 1, random(MAX_ITEMS) do
        array[#array + 1] = value_for(schema.items)
    end
    return array
end

function makers.object(schema)
    local object = {}
    for name, property in pairs(schema.properties or {}) do
        object[name] = value_for(property)
    end
    return object
end

function value_for(schema)
    local maker = type(schema.type) == "string" and makers[lower(schema.type)]
    return maker and maker(schema)
end

-- { object = function(schema) -> table }: a value for each of its properties, at any depth.
return { object = makers.object }
