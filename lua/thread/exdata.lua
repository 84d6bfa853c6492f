-- Owns thread.exdata, which OpenResty's LuaJIT adds: one pointer kept with each coroutine.
-- Must never keep a coroutine alive.
local ffi = require "ffi"

local error, select, setmetatable, type = error, select, setmetatable, type
local running = coroutine.running

local NULL = ffi.cast("void *", 0)
local MAIN = {}                   -- stands for the main thread, which coroutine.running may not name

local pointers = setmetatable({}, { __mode = "k" })

-- exdata(): the current coroutine's pointer (void *, NULL when none was set). exdata(ptr): set it.
return function(...)
    local thread = running() or MAIN
    if select("#", ...) == 0 then
        return pointers[thread] or NULL
    end
    local pointer = ...
    if type(pointer) ~= "cdata" then
        error("bad argument #1 to 'exdata' (cdata expected, got " .. type(pointer) .. ")", 2)
    end
    pointers[thread] = ffi.cast("void *", pointer)
end
