-- Owns table.isarray, which OpenResty's LuaJIT adds: whether every key of a table is a whole number.
-- As the original has it, holes, zero and negative numbers are allowed and an empty table is an array.
-- Must never call metamethods.
local check_table = require("server.argcheck").check_table
local floor, next, select, type = math.floor, next, select, type

return function(...)
    local t = ...
    check_table(1, 1, t, select("#", ...))
    for key in next, t do
        if type(key) ~= "number" or floor(key) ~= key then
            return false
        end
    end
    return true
end
