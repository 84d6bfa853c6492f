-- Owns the worker's receive buffers: a task takes one when bytes are there and gives it back when it
-- has used them, so that an idle connection holds none and the hot path always meets a warm one.
local ffi = require "ffi"

local SIZE = 65536
local MAX_FREE = 64

local free = {}
local n = 0

local _M = { SIZE = SIZE }

-- A buffer of SIZE bytes (uint8_t *). One that is never given back is freed by the collector.
function _M.take()
    if n > 0 then
        local buffer = free[n]
        n = n - 1
        return buffer
    end
    return ffi.new("uint8_t[?]", SIZE)
end

function _M.give(buffer)
    if n < MAX_FREE then
        n = n + 1
        free[n] = buffer
    end
end

return _M
