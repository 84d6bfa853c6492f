-- Owns named timers that run a callback again and again until the worker exits. Mirrors apisix.core.timer.
local log = require "apisix.core.log"
local utils = require "apisix.core.utils"

local ngx = ngx
local pcall = pcall

local _M = { version = 0.1 }

-- One turn: the callback, repeated with pauses, for at most each_ttl seconds.
local function run_turn(timer)
    timer.start_time = ngx.now()
    repeat
        local ok, err = pcall(timer.callback_fun)
        if not ok then
            log.error("failed to run the timer: ", timer.name, " err: ", err)
        end
        local pause = ok and timer.sleep_succ or timer.sleep_fail
        if pause > 0 then
            utils.sleep(pause)
        end
        ngx.update_time()
    until timer.each_ttl <= 0 or ngx.now() >= timer.start_time + timer.each_ttl
end

local function on_timer(premature, timer)
    if premature or timer.running then
        return
    end
    timer.running = true
    local ok, err = pcall(run_turn, timer)
    if not ok then
        log.error("failed to run timer[", timer.name, "] err: ", err)
    end
    timer.running = false
end

-- Starts a timer now and then at every check_interval that finds it idle. opts, in seconds, with defaults:
-- each_ttl 1 (how long one turn repeats the callback), sleep_succ 1, sleep_fail 5 (pauses after it),
-- check_interval 1. Returns the timer, or nil, err.
function _M.new(name, callback_fun, opts)
    if not name then
        return nil, "missing argument: name"
    end
    if not callback_fun then
        return nil, "missing argument: callback_fun"
    end

    opts = opts or {}
    local timer = {
        name = name,
        each_ttl = opts.each_ttl or 1,
        sleep_succ = opts.sleep_succ or 1,
        sleep_fail = opts.sleep_fail or 5,
        start_time = 0,
        callback_fun = callback_fun,
        running = false,
    }

    local ok, err = ngx.timer.every(opts.check_interval or 1, on_timer, timer)
    if not ok then
        return nil, err
    end
    ok, err = ngx.timer.at(0, on_timer, timer)
    if not ok then
        return nil, err
    end
    return timer
end

return _M
