-- Owns the note of whose code runs, where another thread can read it: the watchdog names it when the worker does not
-- answer. Must never cost more than a store to memory.
local ffi = require "ffi"

local tonumber = tonumber

local mark = ffi.new("int32_t[1]") -- a number of name(), 0: nobody's

local _M = { mark = mark }

local last = 0
local tell -- has Python keep a name

-- A number for the mark, for good. Made once for each thing that can run.
function _M.name(text)
    last = last + 1
    if tell then
        tell(last, text)
    end
    return last
end

-- tell_name(number, text): called for each name from now on. Returns the address of the mark.
function _M.attach(tell_name)
    tell = tell_name
    return tonumber(ffi.cast("uintptr_t", mark))
end

return _M
