-- Owns the periodic jobs that plugins register: once a second each runs in a light thread of its own.
-- Mirrors apisix.timers.
local core = require "apisix.core"
local process = require "ngx.process"

local ngx = ngx
local pairs = pairs

local INTERVAL = 1

local timers = {}

local _M = {}

local function run_all()
    local threads = {}
    for name, fn in pairs(timers) do
        local thread, err = ngx.thread.spawn(fn)
        if thread then
            threads[name] = thread
        else
            core.log.error("failed to spawn thread for timer [", name, "]: ", err)
        end
    end
    for name, thread in pairs(threads) do
        local ok, err = ngx.thread.wait(thread)
        if not ok then
            core.log.error("timer [", name, "] failed: ", err)
        end
    end
end

function _M.init_worker()
    local timer, err = core.timer.new("background", run_all, {
        each_ttl = 0, sleep_succ = 0, check_interval = INTERVAL,
    })
    if not timer then
        core.log.error("failed to create background timer: ", err)
    end
end

-- Whether jobs that are to run once for all workers run here: in the privileged agent, or in the only process.
local function is_privileged()
    local kind = process.type()
    return kind == "privileged agent" or kind == "single"
end

-- Run fn every second until it is unregistered, in each process. privileged: in one of them only.
function _M.register_timer(name, fn, privileged)
    if not privileged or is_privileged() then
        timers[name] = fn
    end
end

function _M.unregister_timer(name, privileged)
    if not privileged or is_privileged() then
        timers[name] = nil
    end
end

-- Seconds between two runs.
function _M.check_interval()
    return INTERVAL
end

return _M
