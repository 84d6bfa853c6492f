-- Owns the memory of this Lua VM through which the values of `get` travel: copied to it under the lock, made
-- Lua strings after it. Must never be grown under the lock.
--
-- Between the two a finalizer may run and use it for another value: whoever copies something there takes
-- a new `turn`, and whoever has read it looks whether the turn is still its own.
local ffi = require "ffi"

local cast = ffi.cast

local START = 65536               -- bytes

local _M = { turn = 0 }

-- Make it hold `size` bytes at least. Its fields: bytes (a pointer), address (a number), size.
function _M.grow(size)
    _M.bytes = ffi.new("uint8_t[?]", size)
    _M.address = tonumber(cast("uintptr_t", _M.bytes))
    _M.size = size
end

_M.grow(START)

return _M
