-- Owns the Lua side of the cached time: reads the two doubles that the hub's clock writes,
-- so that asking the time never crosses into Python. Must never call the system clock once attached.
local ffi = require "ffi"

local C = ffi.C
local floor = math.floor

pcall(ffi.cdef, [[
struct pygw_timespec { long tv_sec; long tv_nsec; };
int clock_gettime(int clock, struct pygw_timespec *ts);
]])

local CLOCK_REALTIME, CLOCK_MONOTONIC = 0, 1
local ts = ffi.new("struct pygw_timespec")
local own_cell = ffi.new("double[2]")
local cell = ffi.cast("double *", own_cell)
local refresh

local function read(which)
    C.clock_gettime(which, ts)
    return tonumber(ts.tv_sec) + tonumber(ts.tv_nsec) / 1e9
end

local function refresh_own()
    own_cell[0], own_cell[1] = read(CLOCK_REALTIME), read(CLOCK_MONOTONIC)
end

refresh = refresh_own
refresh()

local _M = {}

-- Take the time from the hub. address: of a C double[2] {wall, monotonic}; update: makes the hub refresh it.
function _M.attach(address, update)
    cell = ffi.cast("double *", address)
    refresh = update
end

-- Monotonic seconds of the system's own clock, to the nanosecond: for measuring what code costs, never for deadlines.
function _M.precise()
    return read(CLOCK_MONOTONIC)
end

-- Cached wall time in seconds with millisecond resolution (ngx.now).
function _M.now()
    return floor(cell[0] * 1000) / 1000
end

-- Cached monotonic time in seconds: the base of every deadline.
function _M.monotonic()
    return cell[1]
end

-- Refresh the cached time (ngx.update_time).
function _M.update()
    refresh()
end

return _M
