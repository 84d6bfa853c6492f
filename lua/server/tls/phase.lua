-- Owns the run of a handler of the application in the middle of a handshake: in a task of its own, since ngx.exit
-- and errors end only that, while the task of the handshake waits for it.
local cosocket = require "server.cosocket"
local current = require "server.current"
local errors = require "server.errors"
local light_threads = require "server.light_threads"
local task = require "server.task"

local ERROR = -1 -- ngx.ERROR

local Job = {} -- the place where the handshake waits
Job.__index = Job

function Job:cancel_wait()
    task.kill(self.r.task)
    return self:release()
end

-- Nothing of r runs any more.
function Job:release()
    light_threads.kill_all(self.r)
    cosocket.close_all(self.r)
end

-- Run handler with r, which stands for a request in it. name: of the phase, as ngx.get_phase gives it; directive:
-- as the error log does. Waits for its end. Returns whether the handshake may go on.
return function(handler, r, name, directive)
    local job = setmetatable({ r = r, over = false, ok = false, waiter = nil }, Job)
    r.phase, r.exit_code = name, nil
    r.task = task.new(function()
        handler()
        return light_threads.join_all(r)
    end, r, function(main, ok, err)
        if not ok then
            errors.report(main, "failed to run " .. directive .. ": ", err)
        end
        job:release()
        job.over, job.ok = true, ok
        if job.waiter then
            task.wake(job.waiter)
        end
    end)
    task.resume(r.task)
    if not job.over then
        job.waiter = current.task
        task.wait(job)
    end
    r.phase = ""
    return job.ok and r.exit_code ~= ERROR
end
