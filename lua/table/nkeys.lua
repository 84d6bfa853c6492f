-- Owns table.nkeys, which OpenResty's LuaJIT adds: the number of elements of a table, array and hash part.
-- Must never call metamethods.
local error, next, type = error, next, type

-- O(n), as the original. Raises when not given a table.
return function(t)
    if type(t) ~= "table" then
        error("bad argument #1 to 'nkeys' (table expected, got " .. (t == nil and "no value" or type(t)) .. ")", 2)
    end
    local count = 0
    for _ in next, t do
        count = count + 1
    end
    return count
end
