-- Owns tasks: coroutines that the scheduler runs. A task waits by yielding SCHED to the top; user
-- coroutines pass that yield through (see ngx/api/coroutine.lua). Whoever wakes a task does it
-- exactly once: it was registered in one place, and that place forgets it first.
-- Must never call into Python, nor know of HTTP.
local critical = require "server.critical"
local current = require "server.current"
local running = require "server.running"

local co_create = coroutine.create
local co_isyieldable = coroutine.isyieldable
local co_resume = coroutine.resume
local co_status = coroutine.status
local co_yield = coroutine.yield
local depth = critical.depth
local error = error
local mark = running.mark -- as current, it is this task's while it runs
local pcall = pcall

-- The first value of every yield that is meant for the scheduler.
local SCHED = {}

local _M = { SCHED = SCHED }

-- What runs when the present round of events is over, in order: functions and their argument.
local queue_fn, queue_arg = {}, {}
local queue_head, queue_tail = 1, 0

local post_drain -- asks the hub to call drain() in its next round
local posted = false
local report -- logs an error of ours

-- Call fn(arg) when every event of this round has been seen to.
local function later(fn, arg)
    queue_tail = queue_tail + 1
    queue_fn[queue_tail] = fn
    queue_arg[queue_tail] = arg
    if not posted then
        posted = true
        post_drain()
    end
end
_M.later = later

-- A task that will run fn.  on_done(task, ok, result) is called when it has ended: true and
-- its first result, or false and the error (its stack can then still be read from task.co).
function _M.new(fn, request, on_done)
    return { co = co_create(fn), request = request, on_done = on_done }
end

local function run_ready(task)
    if not task.dead then
        _M.resume(task, task.wake1, task.wake2, task.wake3)
    end
end

local function make_ready(task, a, b, c)
    task.waiting = nil
    task.wake1, task.wake2, task.wake3 = a, b, c
    return later(run_ready, task)
end

-- Tasks that go on in turn: light threads after a coroutine.yield, and those that have spawned one.
local TURNS_MAX = 100 -- in one round of the hub
local turns, turns_head, turns_tail = {}, 1, 0
local taking, turns_due = false, false
local take_turns

local function queue_up(task)
    turns_tail = turns_tail + 1
    turns[turns_tail] = task
    if not (taking or turns_due) then
        turns_due = true
        return later(take_turns)
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
    return queue_up(task) -- a plain coroutine.yield of the user: let others run, then go on
end

-- Run task until it waits or ends. The arguments become what its wait() returns.
local function resume(task, a, b, c)
    local outer_task, outer_request, outer_mark = current.task, current.request, mark[0]
    current.task, current.request, mark[0] = task, task.request, 0
    task.waiting = nil
    local ok, tag = co_resume(task.co, a, b, c)
    current.task, current.request, mark[0] = outer_task, outer_request, outer_mark
    if depth[0] ~= 0 and not outer_task then
        critical.settle()
    end
    if tag == SCHED and not task.op then
        return
    end
    return after(task, ok, tag)
end
_M.resume = resume

local function run_turns(first)
    if first then
        resume(first)
    end
    for _ = 1, TURNS_MAX do
        if turns_head > turns_tail then
            turns_head, turns_tail = 1, 0
            return
        end
        local task = turns[turns_head]
        turns[turns_head] = nil
        turns_head = turns_head + 1
        if not task.dead then
            resume(task)
        end
    end
end

function take_turns(first)
    taking, turns_due = true, false
    local ok, err = pcall(run_turns, first)
    taking = false
    if turns_head <= turns_tail then
        turns_due = true
        later(take_turns)
    end
    if not ok then
        error(err, 0)
    end
end

-- Run task in its turn: now, unless others are taking theirs.
function _M.run_in_turn(task)
    turns_tail = turns_tail + 1
    turns[turns_tail] = task
    if not taking then
        return take_turns()
    end
end

-- Run task now, until it waits or ends, and other in its turn.
function _M.run_before(task, other)
    turns_tail = turns_tail + 1
    turns[turns_tail] = other
    if taking then
        return resume(task)
    end
    return take_turns(task)
end

-- Suspend the running task. place:cancel_wait(task) must make place forget it.
-- Returns what the waker passes.
function _M.wait(place)
    local task = current.task
    if not task then
        error("API disabled in the current context: nothing here can wait", 2)
    end
    if not co_isyieldable() then -- below a C function (string.gsub, …): no place may remember it
        place:cancel_wait(task)
        error("attempt to yield across C-call boundary", 0)
    end
    task.waiting = place
    local ours = mark[0]
    local a, b, c = co_yield(SCHED)
    mark[0] = ours
    return a, b, c
end

local function end_pause(task)
    if task.pausing and not task.dead then
        task.pausing = false
        return resume(task)
    end
end

-- Let others run before the running task goes on; nothing happens where it cannot wait.
function _M.pause()
    local task = current.task
    if co_isyieldable() then
        local ours = mark[0]
        task.pausing = true
        later(end_pause, task)
        co_yield(SCHED)
        task.pausing = false
        mark[0] = ours
    end
end

-- Let task go on with up to three values once the running task has yielded.
_M.wake = make_ready

-- Make the running task run op(task) in the scheduler instead of going on; it is not resumed unless op does so.
function _M.leave(op)
    if not co_isyieldable() then
        error("attempt to yield across C-call boundary", 0)
    end
    current.task.op = op
    local ours = mark[0]
    local a, b, c = co_yield(SCHED)
    mark[0] = ours
    return a, b, c
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

-- Run what is queued now; what is queued meanwhile waits for the next round.
function _M.drain()
    posted = false
    local last = queue_tail
    for i = queue_head, last do
        local fn, arg = queue_fn[i], queue_arg[i]
        queue_fn[i], queue_arg[i] = nil, nil
        queue_head = i + 1
        local ok, err = pcall(fn, arg)
        if not ok then
            report(err)
        end
    end
    if queue_head > queue_tail then
        queue_head, queue_tail = 1, 0
    end
end

-- post: a function that makes the hub call drain() in its next round; log: told of errors in what drain() ran.
function _M.attach(post, log)
    post_drain, report = post, log
end

return _M
