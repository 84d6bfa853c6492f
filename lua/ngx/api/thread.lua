-- Owns ngx.thread. Source: the ngx_lua documentation, "ngx.thread.*".
local current = require "server.current"
local light_threads = require "server.light_threads"
local phases = require "server.phases"

local error, select, type, unpack = error, select, type, unpack

local thread = {}

-- A response's filters run one after the other, in order; nothing may write beside them.
local NO_THREADS = { balancer = true, header_filter = true, body_filter = true, log = true }

local function check(co, number, name)
    local found = type(co) == "thread" and light_threads.of(co)
    if not found then
        error("bad argument #" .. number .. " to '" .. name .. "' (lua thread expected, got " .. type(co) .. ")", 3)
    end
    return found
end

-- Run fn(...) concurrently, at once until it first waits. Returns the light thread (a coroutine).
function thread.spawn(fn, ...)
    if type(fn) ~= "function" then
        error("bad argument #1 to 'spawn' (function expected, got " .. type(fn) .. ")", 2)
    end
    local r = current.request
    if not current.task or r and NO_THREADS[r.phase] then
        error("API disabled in the context of " .. (r and r.phase or phases.global) .. "_by_lua*", 2)
    end
    return light_threads.spawn(fn, ...)
end

-- Wait for the first of the light threads to end. Returns true and its results, or false and its error.
function thread.wait(...)
    local threads = {}
    for i = 1, select("#", ...) do
        local each = check(select(i, ...), i, "wait")
        if each.reaped or each.killed then
            return nil, "already waited or killed"
        end
        if each.parent ~= current.task then
            error("only the parent coroutine can wait on the thread", 2)
        end
        threads[i] = each
    end
    if #threads == 0 then
        error("at least one coroutine should be specified", 2)
    end
    local ended = light_threads.wait_any(threads)
    ended.reaped = true
    return ended.ok, unpack(ended.results, 1, ended.results.n)
end

-- Returns 1, or nil and an error text.
function thread.kill(co)
    local found = check(co, 1, "kill")
    if found.killed or found.reaped then
        return nil, "already waited or killed"
    elseif found.dead then
        return nil, "already terminated"
    elseif found.parent ~= current.task then
        return nil, "killer not parent"
    end
    light_threads.kill(found)
    return 1
end

return { thread = thread }
