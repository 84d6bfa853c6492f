-- Owns the words of a wrong argument, those of Lua's C API (luaL_argerror): they name the function as its
-- caller did. Must never return.
local getinfo = debug.getinfo
local error = error

-- Raise "bad argument #n to 'name' (message)". level: whose argument it is; 1 (default) is the function
-- that calls this, 2 its caller.
return function(n, message, level)
    level = (level or 1) + 1
    local info = getinfo(level, "n")
    if info.namewhat == "method" then
        n = n - 1
        if n == 0 then
            error("calling '" .. info.name .. "' on bad self (" .. message .. ")", level + 1)
        end
    end
    error("bad argument #" .. n .. " to '" .. (info.name or "?") .. "' (" .. message .. ")", level + 1)
end
