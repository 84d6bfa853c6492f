-- Owns table.clone, which OpenResty's LuaJIT adds: a shallow copy of a table, without its metatable.
-- Must never call metamethods.
local error, next, type = error, next, type
local new = require "table.new"

return function(t)
    if type(t) ~= "table" then
        error("bad argument #1 to 'clone' (table expected, got " .. (t == nil and "no value" or type(t)) .. ")", 2)
    end
    local copy = new(#t, 0)
    for key, value in next, t do
        copy[key] = value
    end
    return copy
end
