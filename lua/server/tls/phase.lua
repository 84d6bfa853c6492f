-- Owns the run of a handler of the application in the middle of a handshake: in a task of its own, since ngx.exit
-- and errors end only that, while the task of the handshake waits for it, as long as the handshake may take.
local bridge = require "server.bridge"
local cosocket = require "server.cosocket"
local current = require "server.current"
local errors = require "server.errors"
local light_threads = require "server.light_threads"
local task = require "server.task"

local ERROR = -1 -- ngx.ERROR

local Job = {} -- the place where the handshake waits
Job.__index = Job

-- Nothing of r runs any more.
local function release(r)
    light_threads.kill_all(r)
    cosocket.close_all(r)
end

function Job:forget_timer()
    if self.timer then
        bridge.cancel(self.timer)
        self.timer = nil
    end
end

function Job:cancel_wait()
    self:forget_timer()
    task.kill(self.r.task)
    return release(self.r)
end

function Job:on_timer()
    self.timer = nil
    self:cancel_wait()
    return task.resume(self.waiter, "timeout")
end

local function run(handler, r)
    handler()
    return light_threads.join_all(r)
end

-- Run handler with r, which stands for a request in it. name: of the phase, as ngx.get_phase gives it; deadline:
-- when (monotonic) it has to be over. Waits for its end. Returns whether the handshake may go on; or nil and
-- "timeout".
return function(handler, r, name, deadline)
    local job = setmetatable({ r = r, over = false, ok = false, waiter = nil, timer = nil }, Job)
    r.phase, r.exit_code = name, nil
    r.task = task.new(function()
        return run(handler, r)
    end, r, function(main, ok, err)
        if not ok then
            errors.report(main, name == "ssl_session_store" and "failed to run session_store_by_lua*: "
                or "lua entry thread aborted: runtime error: ", err)
        end
        release(r)
        job.over, job.ok = true, ok
        if job.waiter then
            job:forget_timer()
            task.wake(job.waiter)
        end
    end)
    task.resume(r.task)
    if not job.over then
        job.waiter = current.task
        job.timer = bridge.call_at(deadline, job)
        if task.wait(job) == "timeout" then
            return nil, "timeout"
        end
    end
    r.phase = ""
    return job.ok and r.exit_code ~= ERROR
end
