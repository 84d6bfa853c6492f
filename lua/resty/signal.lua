-- Owns the module resty.signal: signals by name or number, sent to processes (API of lua-resty-signal).
local ffi = require "ffi"

local C = ffi.C
local assert, error, type = assert, error, type

pcall(ffi.cdef, "int kill(int pid, int signal);")

-- Linux's numbers. `false`: a name that other systems have.
local NUMBERS = {
    NONE = 0, HUP = 1, INT = 2, QUIT = 3, ILL = 4, TRAP = 5, ABRT = 6, BUS = 7, FPE = 8, KILL = 9, USR1 = 10,
    SEGV = 11, USR2 = 12, PIPE = 13, ALRM = 14, TERM = 15, CHLD = 17, CONT = 18, STOP = 19, TSTP = 20, TTIN = 21,
    TTOU = 22, URG = 23, XCPU = 24, XFSZ = 25, VTALRM = 26, PROF = 27, WINCH = 28, IO = 29, PWR = 30, SYS = 31,
    EMT = false, INFO = false,
}

local _M = { version = 0.04 }

-- The number of a signal by its name without "SIG"; a number passes. nil, "unknown signal name" for others; raises
-- for those that this system has not.
function _M.signum(name)
    if type(name) == "number" then
        return name
    end
    local number = NUMBERS[name]
    if number == nil then
        return nil, "unknown signal name"
    elseif not number then
        error("missing C def for signal " .. name, 2)
    end
    return number
end

-- Send a signal (name or number) to the process or group `pid` as kill(2) does. Returns true, or nil and an error
-- text.
function _M.kill(pid, signal)
    local number, err = _M.signum(assert(signal))
    if not number then
        return nil, err
    end
    if C.kill(assert(pid), number) == 0 then
        return true
    end
    return nil, ffi.string(C.strerror(ffi.errno()))
end

return _M
