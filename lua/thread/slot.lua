-- Owns the pointers kept with coroutines: thread.exdata and thread.exdata2, which OpenResty's LuaJIT adds, are one
-- each. Must never keep a coroutine alive.
local ffi = require "ffi"

local error, select, setmetatable, type = error, select, setmetatable, type
local running = coroutine.running

local NULL = ffi.cast("void *", 0)
local MAIN = {}                   -- stands for the main thread, which coroutine.running may not name

-- A function of that name: called with nothing it returns the current coroutine's pointer (void *, NULL when none
-- was set), called with one it sets it.
return function(name)
    local pointers = setmetatable({}, { __mode = "k" })
    return function(...)
        local thread = running() or MAIN
        if select("#", ...) == 0 then
            return pointers[thread] or NULL
        end
        local pointer = ...
        if type(pointer) ~= "cdata" then
            error("bad argument #1 to '" .. name .. "' (cdata expected, got " .. type(pointer) .. ")", 2)
        end
        pointers[thread] = ffi.cast("void *", pointer)
    end
end
