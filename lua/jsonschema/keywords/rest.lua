-- Owns the keywords that are checked after all others: false for "propertyNames", "format", "const", "contains".
local array = require "jsonschema.keywords.array"
local formats = require "jsonschema.formats"

local function write_format(add, compiler, name)
    if name == "ipv4" or name == "ipv6" then
        add('if t == "string" and not %s(p) then', compiler:constant(compiler.options["parse_" .. name]))
    elseif formats.patterns[name] then
        add('if t == "string" and not match_pattern(p, %s) then', compiler:constant(formats.patterns[name]))
    else
        return
    end
    add('return false, "expect valid %s format but got: " .. p', name)
    add("end")
end

local _M = {}

function _M.write(compiler, add, schema)
    if schema.propertyNames == false then
        add('if t == "table" and k == 0 then return false, "expect false always" end')
    end
    if schema.format then
        write_format(add, compiler, schema.format)
    end
    if schema.const ~= nil then
        add('if not equal(p, %s) then return false, "failed to check const value" end', compiler:constant(schema.const))
    end
    array.write_contains(compiler, add, schema)
end

return _M
