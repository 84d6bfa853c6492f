-- Owns "enum" and the keywords that combine schemas.
local cjson = require "cjson.safe"

local type = type
local ipairs = ipairs
local concat = table.concat

local function write_enum(add, compiler, values)
    local scalars, tables = {}, {}
    for _, value in ipairs(values) do
        if type(value) == "table" then
            tables[#tables + 1] = value
        else
            scalars[value] = true
        end
    end
    local conditions = { "p ~= nil and " .. compiler:constant(scalars) .. "[p]" }
    for _, value in ipairs(tables) do
        conditions[#conditions + 1] = "equal(p, " .. compiler:constant(value) .. ")"
    end
    add("if not (%s) then", concat(conditions, " or "))
    add('return false, "matches none of the enum values"')
    add("end")
end

local function write_all_of(add, compiler, schemas)
    for i, schema in ipairs(schemas) do
        add("do local ok, err = %s(p)", compiler:validator(schema))
        add('if not ok then return false, "allOf %d failed: " .. err end end', i)
    end
end

local function write_any_of(add, compiler, schemas)
    local calls, required = {}, {}
    for i, schema in ipairs(schemas) do
        calls[i] = compiler:validator(schema) .. "(p)"
        if type(schema) == "table" and schema.required then
            required[#required + 1] = cjson.encode(schema.required)
        end
    end
    local detail = #required > 0 and ": " .. concat(required, " or ") or ""
    add("if not (" .. concat(calls, " or ") .. ") then")
    add("return false, %s", compiler:constant("object matches none of the required" .. detail))
    add("end")
end

local function write_one_of(add, compiler, schemas)
    add("do local matched")
    for i, schema in ipairs(schemas) do
        add("if %s(p) then", compiler:validator(schema))
        add("if matched then")
        add('return false, "value should match only one schema, but matches both schemas " .. matched .. " and %d"', i)
        add("end")
        add("matched = %d", i)
        add("end")
    end
    add('if not matched then return false, "value should match only one schema, but matches none" end')
    add("end")
end

local function write_if(add, compiler, schema)
    add("if %s(p) then", compiler:validator(schema["if"]))
    if schema["then"] ~= nil then
        add('if not %s(p) then return false, "then clause did not match" end', compiler:validator(schema["then"]))
    end
    add("else")
    if schema["else"] ~= nil then
        add('if not %s(p) then return false, "else clause did not match" end', compiler:validator(schema["else"]))
    end
    add("end")
end

local _M = {}

function _M.write(compiler, add, schema)
    if schema.enum then
        write_enum(add, compiler, schema.enum)
    end
    if schema.allOf then
        write_all_of(add, compiler, schema.allOf)
    end
    if schema.anyOf then
        write_any_of(add, compiler, schema.anyOf)
    end
    if schema.oneOf then
        write_one_of(add, compiler, schema.oneOf)
    end
    if schema["if"] ~= nil then
        write_if(add, compiler, schema)
    end
    if schema["not"] ~= nil then
        add('if %s(p) then return false, "value wasn\'t supposed to match schema" end',
            compiler:validator(schema["not"]))
    end
end

return _M
