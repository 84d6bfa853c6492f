-- Owns calls to the operating system that Lua's os library lacks. Mirrors apisix.core.os.
local ffi = require "ffi"

local C = ffi.C
local error = error
local floor = math.floor
local tostring = tostring
local type = type

pcall(ffi.cdef, [[
int setenv(const char *name, const char *value, int overwrite);
char *strerror(int errnum);
int usleep(unsigned int usec);
int waitpid(int pid, int *status, int options);
]])

local WNOHANG = 1
local POLL_US = 10000 -- between two looks at a child

local _M = {}

local function last_error()
    return ffi.string(C.strerror(ffi.errno()))
end

-- Sets an environment variable of this process. value: string or number. Returns true, or false, err.
function _M.setenv(name, value)
    local kind = type(value)
    if type(name) ~= "string" or (kind ~= "string" and kind ~= "number") then
        return false, "invalid argument"
    end
    if C.setenv(name, tostring(value), 1) ~= 0 then
        return false, last_error()
    end
    return true
end

-- Sleeps us microseconds and blocks the whole worker meanwhile. Raises unless us is an integer.
function _M.usleep(us)
    if floor(us) ~= us then
        error("bad microseconds: " .. us)
    end
    C.usleep(us)
end

-- Waits up to timeout seconds for the child pid to end, blocking the worker. Returns true once it has
-- ended, nothing when the time is over, or nil, err.
function _M.waitpid(pid, timeout)
    for _ = 1, timeout * 1e6 / POLL_US - 1 do
        C.usleep(POLL_US)
        local ended = C.waitpid(pid, nil, WNOHANG)
        if ended == -1 then
            return nil, last_error()
        end
        if ended > 0 then
            return true
        end
    end
end

return _M
