-- Owns one growing byte buffer that the pure ngx functions build their results in, and the rule
-- by which they take any value for a string. The buffer is valid until the next call of take():
-- never hold it across a yield or across a call of the user's Lua code.
local ffi = require "ffi"

local tostring = tostring
local type = type

local KEEP = 1048576 -- a larger buffer is made for one use and left to the collector

local size = 4096
local buffer = ffi.new("uint8_t[?]", size)

local _M = {}

-- A buffer of at least `want` bytes (uint8_t[]).
function _M.take(want)
    if want <= size then
        return buffer
    end
    if want > KEEP then
        return ffi.new("uint8_t[?]", want)
    end
    while size < want do
        size = size * 2
    end
    buffer = ffi.new("uint8_t[?]", size)
    return buffer
end

-- What ngx_lua makes of a "string" argument: nil and false are "", the rest goes through tostring.
function _M.text(value)
    if type(value) == "string" then
        return value
    end
    return value and tostring(value) or ""
end

return _M
