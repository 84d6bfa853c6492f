-- Owns tasks: coroutines that the scheduler runs. A task waits by yielding SCHED to the top; user
-- coroutines pass that yield through (see ngx/api/coroutine.lua). Whoever wakes a task does it
-- exactly once: it was registered in one place, and that place forgets it first.
-- Must never call into Python, nor know of HTTP.
local current = require "server.current"

local co_create = coroutine.create
local co_resume = coroutine.resume
local co_status = coroutine.status
local co_yield = coroutine.yield
local error = error

-- The first value of every yield that is meant for the scheduler.
local SCHED = {}

local _M = { SCHED = SCHED }

-- Woken tasks that run when the present one has yielded, in order.
local ready = {}
local ready_head, ready_tail = 1, 0

local post_drain -- asks the hub to call drain() in its next round

-- A task that will run fn.  on_done(task, ok, result) is called when it has ended: true and
-- its first result, or false and the error (its stack can then still be read from task.co).
function _M.new(fn, request, on_done)
    return { co = co_create(fn), request = request, on_done = on_done }
end

local function make_ready(task, a, b, c)
    ready_tail = ready_tail + 1
    ready[ready_tail] = task
    task.waiting = nil
    task.wake1, task.wake2, task.wake3 = a, b, c
    if ready_tail == ready_head then
        post_drain()
    end
end

local function after(task, ok, result)
    if ok and result == SCHED then
        local op = task.op
        task.op = nil
        return op(task)
    end
    if co_status(task.co) == "dead" then
        task.dead = true
        return task.on_done(task, ok, result)
    end
    return make_ready(task) -- a plain coroutine.yield of the user: let others run, then go on
end

-- Run task until it waits or ends. The arguments become what its wait() returns.
local function resume(task, a, b, c)
    local outer_task, outer_request = current.task, current.request
    current.task, current.request = task, task.request
    task.waiting = nil
    local ok, tag = co_resume(task.co, a, b, c)
    current.task, current.request = outer_task, outer_request
    if tag == SCHED and not task.op then
        return
    end
    return after(task, ok, tag)
end
_M.resume = resume

-- Suspend the running task. place:cancel_wait(task) must make place forget it.
-- Returns what the waker passes.
function _M.wait(place)
    local task = current.task
    if not task then
        error("API disabled in the current context: nothing here can wait", 2)
    end
    task.waiting = place
    return co_yield(SCHED)
end

-- Let task go on with up to three values once the running task has yielded.
_M.wake = make_ready

-- Make the running task run op(task) in the scheduler instead of going on; it is not resumed unless op does so.
function _M.leave(op)
    local task = current.task
    task.op = op
    return co_yield(SCHED)
end

-- Forget a task that waits: it never runs again.
function _M.kill(task)
    task.dead = true
    local place = task.waiting
    if place then
        task.waiting = nil
        place:cancel_wait(task)
    end
end

-- Run the tasks that are ready now; those made ready meanwhile wait for the next round.
function _M.drain()
    local last = ready_tail
    for i = ready_head, last do
        local task = ready[i]
        ready[i] = nil
        ready_head = i + 1
        if not task.dead then
            resume(task, task.wake1, task.wake2, task.wake3)
        end
    end
    if ready_head > ready_tail then
        ready_head, ready_tail = 1, 0
    else
        post_drain()
    end
end

-- post: a function that makes the hub call drain() in its next round.
function _M.attach(post)
    post_drain = post
end

return _M
