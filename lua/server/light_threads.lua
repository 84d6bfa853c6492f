-- Owns light threads (ngx.thread): tasks that belong to a request. Their handle is their coroutine, as
-- in ngx_lua. A phase ends only when all its light threads have ended or been killed.
local cosockets = require "server.cosocket_closing"
local current = require "server.current"
local errors = require "server.errors"
local task = require "server.task"

local running, status = coroutine.running, coroutine.status
local select, unpack, setmetatable, ipairs, pairs, next = select, unpack, setmetatable, ipairs, pairs, next

local by_co = setmetatable({}, { __mode = "k" }) -- what has ended no longer knows its coroutine: both can go

local _M = { by_co = by_co }

local Join = {} -- the place where a task waits for one of several threads to end
Join.__index = Join

function Join:cancel_wait()
    for _, thread in ipairs(self.threads) do
        if thread.joiner == self then
            thread.joiner = nil
        end
    end
end

-- A thread of r is no more; the end of the phase may wait for that.
local function leave(r, thread)
    local threads = r and r.threads
    if not threads then
        return
    end
    threads[thread] = nil
    local waiting = r.joining
    if waiting and next(threads) == nil then
        r.joining = nil
        task.wake(waiting)
    end
end

local function on_done(thread, ok, result)
    if ok then
        thread.results = result
    else
        errors.report(thread, "lua user thread aborted: runtime error: ", result)
        thread.results = { n = 1, result }
    end
    thread.ok = ok
    thread.reaped = status(thread.parent_co) == "dead"
    thread.co = nil
    leave(thread.request, thread)
    local joiner = thread.joiner
    if joiner then
        joiner:cancel_wait()
        return task.resume(joiner.task, thread)
    end
end

local function pack(...)
    return { n = select("#", ...), ... }
end

-- Run fn(...) as a new light thread of the running task's request, at once, until it waits or ends; then
-- the running task goes on. Returns its coroutine.
function _M.spawn(fn, ...)
    local parent, r = current.task, current.request
    local args = pack(...)
    local thread = task.new(function()
        return pack(fn(unpack(args, 1, args.n)))
    end, r, on_done)
    local co = thread.co
    thread.parent, thread.parent_co = parent, running()
    task.leave(function() -- in the scheduler: the thread may end the request, and its parent with it
        by_co[co] = thread
        if r then
            r.threads = r.threads or {}
            r.threads[thread] = true
        end
        return task.run_before(thread, parent)
    end)
    return co
end

-- Run fn as a new light thread of request r, whose tasks are not running now. parent, parent_co: the task and
-- the coroutine that it counts as a child of.
function _M.start(r, fn, parent, parent_co)
    local thread = task.new(function()
        return pack(fn())
    end, r, on_done)
    by_co[thread.co] = thread
    thread.parent, thread.parent_co = parent, parent_co
    r.threads = r.threads or {}
    r.threads[thread] = true
    return task.resume(thread)
end

-- The thread whose handle that is, or nil.
function _M.of(co)
    return by_co[co]
end

local function first_ended(threads)
    for _, thread in ipairs(threads) do
        if thread.dead and not thread.killed then
            return thread
        end
    end
end

-- Wait until one of threads (tasks) has ended. Returns it.
function _M.wait_any(threads)
    local thread = first_ended(threads)
    if thread then
        return thread
    end
    local join = setmetatable({ task = current.task, threads = threads }, Join)
    for _, each in ipairs(threads) do
        each.joiner = join
    end
    return task.wait(join)
end

local function kill(thread)
    thread.killed = true
    task.kill(thread)
    thread.co = nil
    local socket = thread.socket
    if socket then -- that it was waiting for is of no use to anybody now
        thread.socket = nil
        cosockets.drop(socket)
    end
end

function _M.kill(thread)
    kill(thread)
    return leave(thread.request, thread)
end

local Phase = {} -- the place where the end of r's phase waits
Phase.__index = Phase

function Phase:cancel_wait()
    self.request.joining = nil
end

-- Wait for all light threads that r's phase has left running.
function _M.join_all(r)
    local threads = r.threads
    if threads and next(threads) ~= nil then
        r.joining = current.task
        return task.wait(setmetatable({ request = r }, Phase))
    end
end

-- Kill all light threads of r.
function _M.kill_all(r)
    local threads = r.threads
    if threads then
        r.threads = nil
        for thread in pairs(threads) do
            if thread ~= current.task then
                kill(thread)
            end
        end
    end
end

-- A coroutine of the running task has died of err, and the error goes on in the one around it: keep it for the log.
function _M.remember_stack(co, err)
    local task_now = current.task
    if task_now then
        local inner = task_now.died
        task_now.died = { co = co, err = err, inner = inner and inner.err == err and inner or nil }
    end
end

return _M
