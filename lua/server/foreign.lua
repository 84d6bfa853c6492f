-- Owns how C functions are declared under names of our own: user code may declare the same functions with types of
-- its own, and the first declaration of a name would stand for both. Must not load libraries.
local ffi = require "ffi"

local cdef = ffi.cdef
local gsub = string.gsub
local setmetatable = setmetatable

local _M = {}

-- Declare `functions`, C declarations one after another, under prefix .. name. library: what ffi.load or ffi.C gave.
-- Returns a table of them by their own names, resolved on first use.
function _M.declare(prefix, functions, library)
    cdef((gsub(functions, "([%w_]+)(%([^;]*%));", prefix .. '%1%2 __asm__("%1");')))
    return setmetatable({}, {
        __index = function(self, name)
            local found = library[prefix .. name]
            self[name] = found
            return found
        end,
    })
end

return _M
