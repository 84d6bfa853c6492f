-- Owns ngx.timer: the hub keeps the tree and the limits, a task runs each expiry.
-- Source: the ngx_lua documentation, "ngx.timer.at", "ngx.timer.every".
local argcheck = require "server.argcheck"
local bridge = require "server.bridge"
local current = require "server.current"
local errors = require "server.errors"
local log = require "server.log"
local modules = require "server.modules"
local serial = require "server.serial"
local check = require("server.restrictions").check
local settings = require "server.settings"
local task = require "server.task"

local error, pairs, type, select, unpack, tonumber = error, pairs, type, select, unpack, tonumber
local getinfo = debug.getinfo
local min = math.min

local LONGEST = 1e9 -- seconds

local FORBIDDEN = { exit_worker = true, init = true }

local timer = {}

local callbacks = {} -- id -> {fn, n, again, client_addr, listener, args…}; Python knows the timer by the id
local under_way = {} -- run id -> the request of one that runs
local some_are_old = false -- whether code was ever replaced
local NOBODY = {} -- in place of the request that sets a timer, where there is none
local last_id = 0

local function on_done(self, ok, err)
    local request = self.request
    if not ok then
        errors.report(self, "lua entry thread aborted: runtime error: ", err)
    end
    require("server.light_threads").kill_all(request)
    require("server.cosocket").close_all(request)
    if request.processes then
        require("ngx.pipe").destroy_all(request)
    end
    under_way[self.run_id] = nil
    bridge.call.timer_done(self.run_id)
end

local function run(id, run_id, premature, again)
    local entry = callbacks[id]
    if not again then
        callbacks[id] = nil
    end
    local request = {
        phase = "timer", stage = "timer", connection = serial(),
        client_addr = entry.client_addr, listener = entry.listener, settings = entry.settings,
        timer_fn = entry.fn, is_old = some_are_old and modules.is_old(entry.fn),
    }
    under_way[run_id] = request
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

-- Python -> Lua: a timer expired while `limit` others were running.
function bridge.entries.ngx_timer_dropped(id, again, limit)
    local defined = getinfo(callbacks[id].fn, "S")
    if not again then
        callbacks[id] = nil
    end
    log.alert("lua failed to run timer with function defined at ", defined.source, ":", defined.linedefined, ": ",
        limit, " lua_max_running_timers are not enough")
end

local known_pending, known_running = false, false

-- The limits are an application's to set; Python is told of those in force when they are new.
local function tell_limits()
    local pending, running = settings.max_pending_timers, settings.max_running_timers
    if pending ~= known_pending or running ~= known_running then
        known_pending, known_running = pending, running
        bridge.call.timer_limits(pending or nil, running or nil)
    end
end

-- nginx takes a negative delay for what is over, and an endless one for a long time.
local function within(seconds, shortest, longest)
    return seconds > shortest and min(seconds, longest) or shortest
end

-- level: of the user's call, 1 being the function that calls this one.
local function create(call, n, delay, fn, ...)
    if n < 2 then
        error("expecting at least 2 arguments but got " .. n, 3)
    end
    local seconds, again = tonumber(delay), call == bridge.call.timer_every
    if not seconds then
        argcheck.fail(2, 1, "number expected, got " .. type(delay))
    elseif again and seconds > -0.001 and seconds < 0.001 then
        error("delay cannot be zero", 3)
    elseif type(fn) ~= "function" then
        argcheck.fail(2, 2, "Lua function expected")
    end
    check(FORBIDDEN, 3)
    tell_limits()
    last_id = last_id + 1
    local id = last_id
    local r = current.request or NOBODY
    if r.is_old and modules.is_old(fn) then
        return nil, "process exiting"
    end
    callbacks[id] = {
        fn = fn, n = n - 2, again = again,
        client_addr = r.remote_addr or r.client_addr, listener = r.conn and r.conn.listener or r.listener,
        settings = r.settings, -- those of the location that made it, as nginx passes them on
        ...
    }
    local err = call(within(seconds, again and 0.001 or 0, LONGEST), id)
    if err then
        callbacks[id] = nil
        return nil, err
    end
    return 1
end

-- at(delay, fn, ...): run fn(premature, ...) after delay seconds in a task of its own. Returns 1, or nil and
-- "process exiting" or "too many pending timers".
function timer.at(...)
    local ok, err = create(bridge.call.timer_at, select("#", ...), ...)
    if err then
        return nil, err
    end
    return ok
end

-- every(delay, fn, ...): the same every delay seconds.
function timer.every(...)
    local ok, err = create(bridge.call.timer_every, select("#", ...), ...)
    if err then
        return nil, err
    end
    return ok
end

-- Code was replaced (see server.modules): for the timers of the old one the worker exits. Those of every() run once
-- more, prematurely; in one that runs, ngx.worker.exiting() is true from now on, and it can set no further one of the
-- old code. What at() has promised still runs.
local function end_old()
    some_are_old = true
    for id, entry in pairs(callbacks) do
        if entry.again and modules.is_old(entry.fn) then
            entry.again = false
            bridge.call.timer_end(id)
        end
    end
    for _, request in pairs(under_way) do
        request.is_old = modules.is_old(request.timer_fn)
    end
end

function timer.pending_count()
    return bridge.call.timer_pending()
end

function timer.running_count()
    return bridge.call.timer_running()
end

modules.when_replaced(end_old)

return { timer = timer }
