-- Owns the module resty.core.time: the cached time since the machine was started. Source: lua-resty-core.
local clock = require "server.clock"

local floor = math.floor
local monotonic = clock.monotonic

local _M = { version = require("resty.core.base").version }

-- Whole milliseconds.
function _M.monotonic_msec()
    return floor(monotonic() * 1000)
end

-- Seconds, to the millisecond.
function _M.monotonic_time()
    return floor(monotonic() * 1000) / 1000
end

return _M
