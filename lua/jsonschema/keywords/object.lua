-- Owns the keywords about objects, the filling in of defaults among them.
-- An empty table passes for an object. Properties are checked in the order of their names, so messages do not vary.
local type = type
local pairs = pairs
local ipairs = ipairs
local next = next
local tostring = tostring
local min = math.min
local sort = table.sort

-- LuaJIT's jumps reach over 32,767 instructions: more properties than these are checked by functions of their own.
local PROPERTIES_PER_FUNCTION = 100

local function sorted_names(t)
    local names = {}
    for name in pairs(t) do
        names[#names + 1] = name
    end
    sort(names, function(a, b)
        return tostring(a) < tostring(b)
    end)
    return names
end

local function set_of(list)
    local set = {}
    for _, name in ipairs(list or {}) do
        set[name] = true
    end
    return set
end

local function is_name_list(dependency)
    return type(dependency) == "table" and #dependency > 0
end

local function write_failure(add, compiler, message)
    add("return false, %s", compiler:constant(message))
end

local function write_required(add, compiler, name)
    write_failure(add, compiler, 'property "' .. name .. '" is required')
end

-- What has to hold when the property `name` is there.
local function write_dependency(add, compiler, name, dependency)
    if is_name_list(dependency) then
        for _, needed in ipairs(dependency) do
            add("if p[%s] == nil then", compiler:constant(needed))
            write_failure(add, compiler, 'property "' .. needed .. '" is required when "' .. name .. '" is set')
            add("end")
        end
        return
    end
    add("local ok, err = %s(p)", compiler:validator(dependency))
    add("if not ok then return false, %s .. err end",
        compiler:constant('failed to validate dependent schema for "' .. name .. '": '))
end

local function has_default(subschema)
    return type(subschema) == "table" and (type(subschema.default) == "table" or type(subschema.default) == "string"
        or type(subschema.default) == "number" or type(subschema.default) == "boolean")
end

local function write_property(add, compiler, schema, name, is_required)
    local subschema = schema.properties[name]
    local key = compiler:constant(name)
    add("do local v = p[%s]", key)
    add("if v ~= nil then")
    add("local ok, err = %s(v)", compiler:validator(subschema))
    add("if not ok then return false, %s .. err end",
        compiler:constant('property "' .. name .. '" validation failed: '))
    local dependency = schema.dependencies and schema.dependencies[name]
    if dependency ~= nil then
        write_dependency(add, compiler, name, dependency)
    end
    if is_required then
        add("else")
        write_required(add, compiler, name)
    elseif has_default(subschema) then
        add("else")
        add(type(subschema.default) == "table" and "p[%s] = copy(%s)" or "p[%s] = %s",
            key, compiler:constant(subschema.default))
    end
    add("end end")
end

local function write_properties(add, compiler, schema, required)
    local names = sorted_names(schema.properties)
    local function write_slice(add_line, first)
        for i = first, min(first + PROPERTIES_PER_FUNCTION - 1, #names) do
            write_property(add_line, compiler, schema, names[i], required[names[i]])
        end
    end
    if #names <= PROPERTIES_PER_FUNCTION then
        return write_slice(add, 1)
    end
    for first = 1, #names, PROPERTIES_PER_FUNCTION do
        local index = compiler:reserve()
        compiler:add_function(index, function(add_line)
            write_slice(add_line, first)
        end)
        add("do local ok, err = V[%d](p) if not ok then return false, err end end", index)
    end
end

-- Requirements and dependencies of names that "properties" does not have.
local function write_other_names(add, compiler, schema, properties)
    for _, name in ipairs(schema.required or {}) do
        if properties[name] == nil then
            add("if p[%s] == nil then", compiler:constant(name))
            write_required(add, compiler, name)
            add("end")
        end
    end
    for _, name in ipairs(sorted_names(schema.dependencies or {})) do
        if properties[name] == nil then
            add("if p[%s] ~= nil then", compiler:constant(name))
            write_dependency(add, compiler, name, schema.dependencies[name])
            add("end")
        end
    end
end

local function write_patterns(add, compiler, patterns)
    for _, pattern in ipairs(sorted_names(patterns)) do
        add("if match_pattern(name, %s) then", compiler:constant(pattern))
        add("local ok, err = %s(v)", compiler:validator(patterns[pattern]))
        add("if not ok then return false, 'failed to validate ' .. tostring(name) .. %s .. err end",
            compiler:constant(' (matching "' .. pattern .. '"): '))
        add("matched = true")
        add("end")
    end
end

local function write_additional(add, compiler, additional, properties)
    add("if not matched and not %s[name] then", compiler:constant(set_of(sorted_names(properties))))
    if additional == false then
        add('return false, "additional properties forbidden, found " .. tostring(name)')
    else
        add("local ok, err = %s(v)", compiler:validator(additional))
        add("if not ok then return false, 'failed to validate additional property '"
            .. " .. tostring(name) .. ': ' .. err end")
    end
    add("end")
end

-- One walk over the object serves the patterns, the other properties, their names and their number.
local function write_walk(add, compiler, schema, properties)
    local patterns = schema.patternProperties or {}
    local additional = schema.additionalProperties
    local limits_others = additional == false or type(additional) == "table"
    local names = schema.propertyNames
    local counts = schema.minProperties or schema.maxProperties
    if not (next(patterns) or limits_others or counts or type(names) == "table") then
        return
    end
    add("local count = 0")
    add("for name, v in pairs(p) do")
    add("local matched = false")
    write_patterns(add, compiler, patterns)
    if limits_others then
        write_additional(add, compiler, additional, properties)
    end
    if type(names) == "table" then
        add("local ok, err = %s(name)", compiler:validator(names))
        add("if not ok then return false, 'invalid property name ' .. tostring(name) .. ': ' .. err end")
    end
    add("count = count + 1")
    add("end")
end

local function write_limits(add, schema)
    if schema.minProperties then
        add('if count < %d then return false, "expect object to have at least %d properties" end',
            schema.minProperties, schema.minProperties)
    end
    if schema.maxProperties then
        add('if count > %d then return false, "expect object to have at most %d properties" end',
            schema.maxProperties, schema.maxProperties)
    end
end

local function is_about_objects(schema)
    return schema.properties or schema.additionalProperties ~= nil or schema.patternProperties or schema.minProperties
        or schema.maxProperties or schema.dependencies or schema.required or type(schema.propertyNames) == "table"
end

local _M = {}

function _M.write(compiler, add, schema)
    if not is_about_objects(schema) then
        return
    end
    local properties = schema.properties or {}
    add('if t == "table" and k <= 1 then')
    if next(properties) ~= nil then
        write_properties(add, compiler, schema, set_of(schema.required))
    end
    write_other_names(add, compiler, schema, properties)
    write_walk(add, compiler, schema, properties)
    write_limits(add, schema)
    add("end")
    if schema.required and #schema.required == 0 then
        -- as the original has it: an empty list of required properties asks for an empty table
        add('if k ~= 1 then return false, "the input data should be an empty table" end')
    end
end

return _M
