-- Owns ngx.timer and ngx.sleep: the hub keeps the tree and the limits, a task runs each expiry.
-- Source: the ngx_lua documentation, "ngx.timer.at", "ngx.timer.every", "ngx.sleep".
local bridge = require "server.bridge"
local clock = require "server.clock"
local current = require "server.current"
local errors = require "server.errors"
local task = require "server.task"

local error, type, select, unpack, tostring, tonumber = error, type, select, unpack, tostring, tonumber
local getinfo = debug.getinfo

local _M = { timer = {} }

local callbacks = {} -- id -> {fn, n, args…}; Python knows the timer by the id
local last_id = 0

local function on_done(self, ok, err)
    if not ok then
        errors.report(self, "lua entry thread aborted: runtime error: ", err)
    end
    require("server.light_threads").kill_all(self.request)
    require("server.cosocket").close_all(self.request)
    if self.request.processes then
        require("ngx.pipe").destroy_all(self.request)
    end
    bridge.call.timer_done(self.run_id)
end

local function run(id, run_id, premature, again)
    local entry = callbacks[id]
    if not again then
        callbacks[id] = nil
    end
    local request = { phase = "timer", stage = "timer" }
    local main = task.new(function()
        entry.fn(premature, unpack(entry, 1, entry.n))
        return require("server.light_threads").join_all(request)
    end, request, on_done)
    main.run_id = run_id
    request.task = main
    return task.resume(main)
end

-- Python -> Lua: a timer expired. run_id: to be given back by timer_done; premature: the worker is
-- exiting; again: it will fire once more.
bridge.entries.ngx_timer = run

local function create(call, name, delay, fn, ...)
    delay = tonumber(delay)
    if not delay or delay < 0 then
        error("bad argument #1 to '" .. name .. "' (delay must be a non-negative number)", 3)
    end
    if type(fn) ~= "function" then
        error("bad argument #2 to '" .. name .. "' (function expected, got " .. type(fn) .. ")", 3)
    end
    last_id = last_id + 1
    local id = last_id
    callbacks[id] = { fn = fn, n = select("#", ...), ... }
    local defined = getinfo(fn, "S")
    local err = call(delay, id, defined.short_src .. ":" .. defined.linedefined)
    if err then
        callbacks[id] = nil
        return nil, err
    end
    return 1
end

-- Run fn(premature, ...) after delay seconds in a task of its own. Returns 1, or nil and an error text.
function _M.timer.at(delay, fn, ...)
    return create(bridge.call.timer_at, "at", delay, fn, ...)
end

-- The same every delay seconds.
function _M.timer.every(delay, fn, ...)
    if tonumber(delay) == 0 then
        error("delay cannot be zero", 2)
    end
    return create(bridge.call.timer_every, "every", delay, fn, ...)
end

function _M.timer.pending_count()
    return bridge.call.timer_pending()
end

function _M.timer.running_count()
    return bridge.call.timer_running()
end

local Sleep = {}
Sleep.__index = Sleep

function Sleep:on_timer()
    return task.resume(self.task)
end

function Sleep:cancel_wait()
    bridge.cancel(self.id)
end

-- Let others run for that many seconds.
function _M.sleep(seconds)
    seconds = tonumber(seconds)
    if not seconds or seconds < 0 then
        error("invalid sleep duration \"" .. tostring(seconds and seconds * 1000) .. "\"", 2)
    end
    local running = current.task
    if not running then
        error("API disabled in the context of " .. require("server.phases").global .. "_by_lua*", 2)
    end
    local place = setmetatable({ task = running }, Sleep)
    place.id = bridge.call_at(clock.monotonic() + seconds, place)
    task.wait(place)
end

return _M
