-- Owns ngx.sleep. Source: the ngx_lua documentation.
local argcheck = require "server.argcheck"
local bridge = require "server.bridge"
local clock = require "server.clock"
local current = require "server.current"
local check_wait = require("server.restrictions").check_wait
local log = require "server.log"
local phases = require "server.phases"
local task = require "server.task"

local error, select, setmetatable, tonumber, type = error, select, setmetatable, tonumber, type
local format = string.format

local Sleep = {}
Sleep.__index = Sleep

function Sleep:on_timer()
    if self.task.waiting == self then
        return task.resume(self.task)
    end
end

function Sleep:cancel_wait()
    log.debug("lua clean up the timer for pending ngx.sleep")
    bridge.cancel(self.id)
end

-- sleep(seconds): let others run for that many seconds, in whole milliseconds.
local function sleep(...)
    local n, seconds = select("#", ...), ...
    if n ~= 1 then
        error("attempt to pass " .. n .. " arguments, but accepted 1", 2)
    end
    local delay = tonumber(seconds)
    if not delay then
        argcheck.fail(1, 1, "number expected, got " .. type(seconds))
    end
    delay = delay * 1000
    delay = delay - delay % 1
    if delay < 0 then
        error(format('invalid sleep duration "%d"', delay), 2)
    end
    check_wait(2)
    local running = current.task
    if not running then
        error("API disabled in the context of " .. phases.global .. "_by_lua*", 2)
    end
    log.debug("lua ready to sleep for ", delay, " ms")
    local place = setmetatable({ task = running }, Sleep)
    place.id = bridge.call_at(clock.monotonic() + delay / 1000, place)
    task.wait(place)
end

return { sleep = sleep }
