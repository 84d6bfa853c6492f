-- Owns the keywords about arrays. An empty table passes for an array.
local type = type
local ipairs = ipairs

local function write_item_count(add, schema)
    if schema.minItems then
        add('if #p < %d then return false, "expect array to have at least %d items" end',
            schema.minItems, schema.minItems)
    end
    if schema.maxItems then
        add('if #p > %d then return false, "expect array to have at most %d items" end',
            schema.maxItems, schema.maxItems)
    end
end

local function write_tuple(add, compiler, schema)
    for i, item in ipairs(schema.items) do
        add("if p[%d] ~= nil then", i)
        add("local ok, err = %s(p[%d])", compiler:validator(item), i)
        add('if not ok then return false, "failed to validate item %d: " .. err end', i)
        add("end")
    end
    if schema.additionalItems == false then
        add('if p[%d] ~= nil then return false, "found unexpected extra items in array" end', #schema.items + 1)
    elseif type(schema.additionalItems) == "table" then
        add("for i = %d, #p do", #schema.items + 1)
        add("local ok, err = %s(p[i])", compiler:validator(schema.additionalItems))
        add('if not ok then return false, "failed to validate additional item " .. i .. ": " .. err end')
        add("end")
    end
end

local function write_list(add, compiler, schema)
    add("for i = 1, #p do")
    add("local ok, err = %s(p[i])", compiler:validator(schema.items))
    add('if not ok then return false, "failed to validate item " .. i .. ": " .. err end')
    add("end")
end

local function write_items(add, compiler, schema)
    if schema.items == false then
        add('if k == 2 then return false, "expect false always" end')
    elseif type(schema.items) == "table" and #schema.items > 0 then
        write_tuple(add, compiler, schema)
    elseif type(schema.items) == "table" then
        write_list(add, compiler, schema)
    end
end

local _M = {}

function _M.write(compiler, add, schema)
    if schema.items == nil and not (schema.minItems or schema.maxItems or schema.uniqueItems) then
        return
    end
    add('if t == "table" and k >= 1 then')
    write_item_count(add, schema)
    write_items(add, compiler, schema)
    if schema.uniqueItems then
        add("local first, second = duplicates(p)")
        add('if first then return false, format("expected unique items but items %d and %d are equal",'
            .. " first, second) end")
    end
    add("end")
end

--- The keyword "contains", which the original checks last of all.
function _M.write_contains(compiler, add, schema)
    if schema.contains == nil then
        return
    end
    add('if t == "table" and k == 1 then return false, "check contains: empty array is invalid" end')
    add('if t == "table" and k == 2 then')
    add("local found = false")
    add("for i = 1, #p do")
    add("if %s(p[i]) then found = true end", compiler:validator(schema.contains))
    add("end")
    add('if not found then return false, "failed to check contains" end')
    add("end")
end

return _M
