-- Owns the processes that Lua code has started: whether each still runs, how it ended, who waits for that.
-- Python's loop reaps them, since gevent reaps every child there is; here we only hear of it.
-- Must never keep a process that nobody can ask about any more: who lets go of it calls forget().
local ffi = require "ffi"
local bridge = require "server.bridge"
local log = require "server.log"

local band, rshift = bit.band, bit.rshift
local C = ffi.C
local pairs = pairs

pcall(ffi.cdef, "int kill(int pid, int signal);")

local SIGCHLD, SIGKILL = 17, 9

bridge.call.expect_children()

local running = {} -- pid -> child

local _M = { over = false } -- over: the worker is, and nothing may be asked of Python any more

-- Begin to watch the process `pid`, which must have been started in this very round. child: a table that will
-- have `reason` ("exit", "signal") and `status`; whoever stands in child.waiter is told.
function _M.watch(pid, child)
    running[pid] = child
    bridge.call.watch_child(pid)
end

-- Python -> Lua: the process has ended with that wait status.
function bridge.entries.child_exited(pid, wait_status)
    log.notice("signal ", SIGCHLD, " (SIGCHLD) received from ", pid)
    local child = running[pid]
    if not child then
        return
    end
    running[pid] = nil
    local signal = band(wait_status, 0x7f)
    child.reason = signal == 0 and "exit" or "signal"
    child.status = signal == 0 and band(rshift(wait_status, 8), 0xff) or signal
    local waiter = child.waiter
    if waiter then
        return waiter:on_exit()
    end
end

-- Kill a process that nobody can ask about any more. What comes of it is nobody's.
function _M.forget(pid)
    if running[pid] then
        running[pid] = nil
        C.kill(pid, SIGKILL)
    end
end

-- Python -> Lua: kill them all, the worker is over.
function bridge.entries.kill_children()
    _M.over = true
    for pid in pairs(running) do
        _M.forget(pid)
    end
end

return _M
