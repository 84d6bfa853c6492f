-- Owns the list of the workers that serve now: each enters itself in a shared dict by its pid when it starts, leaves
-- when it is told to finish. One that was killed is not on it, though its entry may still be there. Must never wait.
local ffi = require "ffi"

local ngx = ngx
local ipairs = ipairs
local pcall = pcall
local str_match = string.match
local tonumber = tonumber

pcall(ffi.cdef, "int kill(int pid, int signal);") -- others declare it as well
local C = ffi.C

local PREFIX = "worker:"
local ESRCH = 3
local FAR = 10 * 365 * 86400 -- seconds; a timer is called early when the worker is to finish

local _M = {}

local function is_alive(pid)
    return C.kill(pid, 0) == 0 or ffi.errno() ~= ESRCH
end

-- What belongs to pids that are gone: their entries, and what they wrote at keys of "NAME:PID…".
local function sweep(dict)
    for _, key in ipairs(dict:get_keys(0)) do
        local pid = str_match(key, "^worker:(%d+)$") or str_match(key, "^applied:(%d+)/")
        if pid and not is_alive(tonumber(pid)) then
            dict:delete(key)
        end
    end
end

local function leave(premature, pid)
    if premature then
        ngx.shared["internal-status"]:delete(PREFIX .. pid)
    end
end

-- Put this worker on the list. Once per worker, before it serves.
function _M.enter()
    local dict, id, pid = ngx.shared["internal-status"], ngx.worker.id(), ngx.worker.pid()
    if not dict or not id then
        return
    end
    sweep(dict)
    dict:set(PREFIX .. pid, id)
    ngx.timer.at(FAR, leave, pid)
end

-- The workers that serve, pid -> id; and the ids for which there is none, id -> true: those start, or are replaced.
function _M.workers()
    local dict, serving, absent = ngx.shared["internal-status"], {}, {}
    for id = 0, ngx.worker.count() - 1 do
        absent[id] = true
    end
    for _, key in ipairs(dict:get_keys(0)) do
        local pid = tonumber(str_match(key, "^worker:(%d+)$"))
        local id = pid and is_alive(pid) and dict:get(key)
        if id then
            serving[pid], absent[id] = id, nil
        end
    end
    return serving, absent
end

return _M
