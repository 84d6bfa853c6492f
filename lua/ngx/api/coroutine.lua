-- Owns the coroutine.* of user code: like Lua's own, but a wait (ngx.sleep, a cosocket, …) inside a
-- user's coroutine passes through to the scheduler and comes back, as in ngx_lua.
local light_threads = require "server.light_threads"
local task = require "server.task"

local SCHED = task.SCHED
local raw_create, raw_resume, raw_yield = coroutine.create, coroutine.resume, coroutine.yield
local raw_status = coroutine.status
local error = error

local function pass(co, ok, first, ...)
    if ok and first == SCHED then
        return pass(co, raw_resume(co, raw_yield(SCHED)))
    end
    return ok, first, ...
end

-- luacheck: push ignore 122 (replacing them is what this file is for)
function coroutine.resume(co, ...)
    return pass(co, raw_resume(co, ...))
end

local function unwrap(ok, ...)
    if ok then
        return ...
    end
    local err = ...
    return error(err, 0)
end

function coroutine.wrap(fn)
    local co = raw_create(fn)
    return function(...)
        return unwrap(pass(co, raw_resume(co, ...)))
    end
end

-- Also of light threads: one that ended is a "zombie" until it was waited for.
function coroutine.status(co)
    local thread = light_threads.of(co)
    if thread and thread.killed then
        return "dead"
    elseif thread and thread.dead and not thread.reaped then
        return "zombie"
    end
    return raw_status(co)
end
-- luacheck: pop

return {}
