-- Owns the Lua half of the crossing: every call that goes from one language to the other is listed
-- here or in pygw/vm/bridge.py, and nothing else in lua/ may use `python.*` or hold a Python object.
--
-- Lua -> Python, at once (must not block):   bridge.call.NAME(...)
-- Lua -> Python, awaited (may block there):  bridge.await.NAME(...)
-- Python -> Lua: the functions of `entries`, handed over by attach().
local task = require "server.task"
local clock = require "server.clock"
local running = require "server.running"

local error = error
local select = select
local setmetatable = setmetatable
local unpack = unpack

-- What each name is for stands beside its Python half.
local CALLS = {
    -- hub
    "add_io", "remove_io", "call_at", "cancel", "post_drain", "update_time",
    -- ngx.timer
    "timer_at", "timer_every", "timer_end", "timer_limits", "timer_done", "timer_pending", "timer_running",
    -- worker
    "running_name", "local_conf", "started", "stopped", "want_agent", "quit", "last_reopen",
    -- processes that Lua code starts
    "expect_children", "watch_child",
    -- store and standalone configuration
    "store_watch_cancel", "store_keeps_snapshot", "standalone_config", "debug_config",
    -- Python plugins and hooks
    "python_plugins", "python_check", "python_phase", "python_body", "python_answer", "python_request_over",
    "config_changed", "plugin_loaded", "log_record",
}
local AWAITS = {
    "resolve", "run_worker_thread",
    "store_readdir", "store_get", "store_put", "store_put_if", "store_put_leased", "store_keep_alive",
    "store_delete", "store_delete_prefix", "store_preload", "store_snapshot_save",
    "store_watch_open", "store_watch_next", "store_server_version", "standalone_wait", "debug_wait",
    "plugin_files_wait", "sweep_cache",
}

local _M = { call = {}, await = {} }

local function absent(name)
    return function()
        error("the bridge has no '" .. name .. "' here: the worker did not provide it", 2)
    end
end

local function unknown(_, name)
    error("the bridge lists no call '" .. tostring(name) .. "' (lua/server/bridge.lua)", 2)
end

for _, name in ipairs(CALLS) do
    _M.call[name] = absent(name)
end
for _, name in ipairs(AWAITS) do
    _M.await[name] = absent(name)
end
setmetatable(_M.call, { __index = unknown })
setmetatable(_M.await, { __index = unknown })

-- Timers of floor 2: objects with on_timer(self), by the id under which Python knows them.
local timers = {}
local timer_id = 0

-- Have object:on_timer() called at deadline (monotonic seconds). Returns an id for cancel().
function _M.call_at(deadline, object)
    timer_id = timer_id + 1
    timers[timer_id] = object
    _M.call.call_at(deadline, timer_id)
    return timer_id
end

function _M.cancel(id)
    if timers[id] then
        timers[id] = nil
        _M.call.cancel(id)
    end
end

-- Tasks that wait for an awaited call, by its id.
local awaiting = {}
local await_id = 0

local function make_await(name, submit)
    return function(...)
        await_id = await_id + 1
        local id = await_id
        local job = { id = id }
        function job.cancel_wait(self)
            awaiting[self.id] = nil
        end
        awaiting[id] = { task = require("server.current").task, job = job }
        submit(name, id, ...)
        local results = task.wait(job)
        return unpack(results, 1, results.n)
    end
end

-- Python -> Lua. dispatch is server.stream's; the worker adds the rest of its entries.
_M.entries = {
    timer = function(id)
        local object = timers[id]
        if object then
            timers[id] = nil
            object:on_timer()
        end
    end,
    complete = function(id, ...)
        local waiter = awaiting[id]
        if waiter then
            awaiting[id] = nil
            task.resume(waiter.task, { n = select("#", ...), ... })
        end
    end,
    drain = task.drain,
}

-- Called once by Python. given: table of name -> function for CALLS; submit(name, id, ...): starts an
-- awaited call; awaits: names that this worker can await; cell: address of the clock's two doubles.
-- Returns the entries, and the address of the note of whose code runs.
function _M.attach(given, submit, awaits, cell)
    for _, name in ipairs(CALLS) do
        if given[name] then
            _M.call[name] = given[name]
        end
    end
    for _, name in ipairs(AWAITS) do
        if awaits[name] then
            _M.await[name] = make_await(name, submit)
        end
    end
    clock.attach(cell, _M.call.update_time)
    task.attach(_M.call.post_drain, function(err)
        require("server.log").alert("in the scheduler: ", err)
    end)
    return _M.entries, running.attach(_M.call.running_name)
end

return _M
