-- Owns table.isarray, which OpenResty's LuaJIT adds: whether every key of a table is a whole number.
-- As the original has it, holes, zero and negative numbers are allowed and an empty table is an array.
-- Must never call metamethods.
local error, floor, next, type = error, math.floor, next, type

return function(t)
    if type(t) ~= "table" then
        error("bad argument #1 to 'isarray' (table expected, got " .. (t == nil and "no value" or type(t)) .. ")", 2)
    end
    for key in next, t do
        if type(key) ~= "number" or floor(key) ~= key then
            return false
        end
    end
    return true
end
