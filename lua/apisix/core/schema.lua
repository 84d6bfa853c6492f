-- Owns core.schema: checks against JSON Schema with cached validators, and the definitions of apisix.schema_def as
-- fields of its own. Must never define a schema. Mirrors apisix.core.schema.
local jsonschema = require "jsonschema"
local lrucache = require "resty.lrucache"
local schema_def = require "apisix.schema_def"

local byte = string.byte
local type = type
local pcall = pcall
local error = error
local require = require
local setmetatable = setmetatable

local CACHED_VALIDATORS = 1000
local DOLLAR = byte("$")

local validators = lrucache.new(CACHED_VALIDATORS)

local _M = {
    version = 0.3,
    TYPE_CONSUMER = 1,
    TYPE_METADATA = 2,
}

-- apisix.secret itself needs apisix.core, so it is asked for when the first reference is met.
local function is_reference(value, schema)
    if type(value) ~= "string" or byte(value) ~= DOLLAR then
        return false
    end
    return require("apisix.secret").is_secret_ref(value, schema)
end

--- The validator of `schema`, a table, compiled at its first use: a schema must not change afterwards.
-- Values that are references to secrets pass unchecked, as they stand for values not known yet.
-- @return function(value) -> true, or false and a message; or nil and what is wrong with the schema
function _M.valid(schema)
    local validator = validators:get(schema)
    if validator then
        return validator
    end
    local ok, made = pcall(jsonschema.generate_validator, schema, { skip_validation = is_reference })
    if not ok then
        return nil, made
    end
    validators:set(schema, made)
    return made
end

--- Check `json`, a Lua value, and fill in the defaults of `schema`.
-- @return true, or false and a message
function _M.check(schema, json)
    local validator, err = _M.valid(schema)
    if not validator then
        return false, err
    end
    return validator(json)
end

return setmetatable(_M, {
    __index = schema_def,
    __newindex = function()
        error("no modification allowed")
    end,
})
