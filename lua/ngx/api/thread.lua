-- Owns ngx.thread. Source: the ngx_lua documentation, "ngx.thread.*".
local current = require "server.current"
local light_threads = require "server.light_threads"
local check_wait = require("server.restrictions").check_wait
local phases = require "server.phases"

local error, select, type, unpack = error, select, type, unpack
local running = coroutine.running

local thread = {}

-- A response's filters run one after the other, in order; nothing may write beside them. The log phase is the end.
local NO_THREADS = { balancer = true, header_filter = true, body_filter = true, log = true }

local function check(co, number, name)
    if type(co) ~= "thread" then
        error("bad argument #" .. number .. " to '" .. name .. "' (lua thread expected)", 3)
    end
end

-- Run fn(...) concurrently, at once until it first waits. Returns the light thread (a coroutine).
function thread.spawn(fn, ...)
    if type(fn) ~= "function" then
        error("bad argument #1 to 'spawn' (Lua function expected)", 2)
    end
    check_wait(2)
    local r = current.request
    if not current.task or r and NO_THREADS[r.phase] then
        error("API disabled in the context of " .. (r and r.phase or phases.global) .. "_by_lua*", 2)
    end
    return light_threads.spawn(fn, ...)
end

local function reap(ended)
    ended.reaped = true
    return ended.ok, unpack(ended.results, 1, ended.results.n)
end

-- Wait for the first of the light threads to end. Returns true and its results, or false and its error; or nil
-- and "already waited or killed", when the last one was.
function thread.wait(...)
    check_wait(2)
    local count = select("#", ...)
    if count == 0 then
        error("at least one coroutine should be specified", 2)
    end
    local threads, me = {}, running()
    for i = 1, count do
        local co = select(i, ...)
        check(co, i, "wait")
        local each = light_threads.of(co)
        if not each then
            error("attempt to wait on a coroutine that is not a user thread", 2)
        elseif each.parent_co ~= me then
            error("only the parent coroutine can wait on the thread", 2)
        elseif not each.dead then
            threads[#threads + 1] = each
        elseif not (each.reaped or each.killed) then
            return reap(each)
        elseif i == count then
            return nil, "already waited or killed"
        end
    end
    return reap(light_threads.wait_any(threads))
end

-- Returns 1, or nil and an error text.
function thread.kill(co)
    check_wait(2)
    check(co, 1, "kill")
    local found = light_threads.of(co)
    if not found then
        return nil, "not user thread"
    elseif found.parent_co ~= running() then
        return nil, "killer not parent"
    elseif found.waiting and found.waiting.subrequests then
        return nil, "pending subrequests"
    elseif found.killed or found.reaped then
        return nil, "already waited or killed"
    elseif found.dead then
        found.reaped = true
        return nil, "already terminated"
    end
    light_threads.kill(found)
    return 1
end

return { thread = thread }
