-- Owns the keyword "type". Besides JSON's types there are "table" (an object or an array) and "function".
local type = type
local error = error
local ipairs = ipairs
local tostring = tostring
local concat = table.concat

local CONDITIONS = {
    object = 't == "table" and k <= 1',
    array = 't == "table" and k >= 1',
    table = 't == "table"',
    string = 't == "string"',
    number = 't == "number"',
    boolean = 't == "boolean"',
    ["function"] = 't == "function"',
    null = "p == null",
    -- 64-bit integers are cdata
    integer = '(t == "number" or (t == "cdata" and tonumber(p) ~= nil)) and p % 1 == 0',
}

local function condition(name)
    local found = CONDITIONS[name]
    if not found then
        error("invalid JSON type: " .. tostring(name))
    end
    return found
end

local _M = {}

function _M.write(_, add, schema)
    local wanted = schema.type
    if wanted == nil then
        return
    elseif type(wanted) == "string" then
        add("if not (%s) then", condition(wanted))
        add('return false, "wrong type: expected %s, got " .. t', wanted)
    elseif type(wanted) == "table" then
        local conditions = {}
        for i, name in ipairs(wanted) do
            conditions[i] = condition(name)
        end
        add("if not (" .. (#conditions > 0 and concat(conditions, " or ") or "false") .. ") then")
        add('return false, "wrong type: expected one of %s, got " .. t', concat(wanted, ", "))
    else
        error('invalid "type" type: got ' .. type(wanted))
    end
    add("end")
end

return _M
