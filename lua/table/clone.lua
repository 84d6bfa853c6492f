-- Owns table.clone, which OpenResty's LuaJIT adds: a shallow copy of a table, without its metatable.
-- Must never call metamethods.
local check_table = require("server.argcheck").check_table
local next, select = next, select
local new = require "table.new"

return function(...)
    local t = ...
    check_table(1, 1, t, select("#", ...))
    local copy = new(#t, 0)
    for key, value in next, t do
        copy[key] = value
    end
    return copy
end
