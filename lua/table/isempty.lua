-- Owns table.isempty, which OpenResty's LuaJIT adds: whether a table has no element at all.
-- Must never call metamethods.
local check_table = require("server.argcheck").check_table
local next, select = next, select

return function(...)
    local t = ...
    check_table(1, 1, t, select("#", ...))
    return next(t) == nil
end
