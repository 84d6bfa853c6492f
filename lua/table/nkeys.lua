-- Owns table.nkeys, which OpenResty's LuaJIT adds: the number of elements of a table, array and hash part.
-- Must never call metamethods.
local check_table = require("server.argcheck").check_table
local next, select = next, select

-- O(n), as the original. Raises when not given a table.
return function(...)
    local t = ...
    check_table(1, 1, t, select("#", ...))
    local count = 0
    for _ in next, t do
        count = count + 1
    end
    return count
end
