-- Owns light threads (ngx.thread): tasks that belong to a request. Their handle is their coroutine, as
-- in ngx_lua. A phase ends only when all its light threads have ended or been killed.
local current = require "server.current"
local log = require "server.log"
local task = require "server.task"

local select, unpack, tostring, setmetatable = select, unpack, tostring, setmetatable
local traceback = debug.traceback

local _M = {}

local by_co = setmetatable({}, { __mode = "k" })

local Join = {} -- the place where a task waits for one of several threads to end
Join.__index = Join

function Join:cancel_wait()
    for _, thread in ipairs(self.threads) do
        if thread.joiner == self then
            thread.joiner = nil
        end
    end
end

local function on_done(thread, ok, result)
    local r = thread.request
    if r and r.threads then
        r.threads[thread] = nil
    end
    if ok then
        thread.results = result
    else
        log.err("lua user thread aborted: runtime error: ", tostring(result), "\n", traceback(thread.co))
        thread.results = { n = 1, result }
    end
    thread.ok = ok
    local joiner = thread.joiner
    if joiner then
        joiner:cancel_wait()
        task.wake(joiner.task, thread)
    end
end

-- Run fn(...) as a new light thread of the running task's request, at once, until it waits or ends.
-- Returns its coroutine.
function _M.spawn(fn, ...)
    local parent = current.task
    local r = current.request
    local n = select("#", ...)
    local args = { ... }
    local thread = task.new(function()
        local function pack(...)
            return { n = select("#", ...), ... }
        end
        return pack(fn(unpack(args, 1, n)))
    end, r, on_done)
    thread.parent, thread.main = parent, parent.main or parent
    by_co[thread.co] = thread
    if r then
        r.threads = r.threads or {}
        r.threads[thread] = true
    end
    task.resume(thread)
    return thread.co
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

function _M.kill(thread)
    thread.killed = true
    if thread.request and thread.request.threads then
        thread.request.threads[thread] = nil
    end
    task.kill(thread)
end

-- Wait for all light threads that r's phase has left running.
function _M.join_all(r)
    local threads = r.threads
    while threads and next(threads) do
        local list = {}
        for thread in pairs(threads) do
            list[#list + 1] = thread
        end
        _M.wait_any(list)
    end
end

-- Kill all light threads of r.
function _M.kill_all(r)
    local threads = r.threads
    if threads then
        r.threads = nil
        for thread in pairs(threads) do
            if thread ~= current.task then
                thread.killed = true
                task.kill(thread)
            end
        end
    end
end

return _M
