-- Owns the coroutine.* of user code: like Lua's own, but a wait (ngx.sleep, a cosocket, …) inside a
-- user's coroutine passes through to the scheduler and comes back, as in ngx_lua.
-- Must never let user code resume what only the scheduler may: light threads, entry threads, what waits.
local current = require "server.current"
local light_threads = require "server.light_threads"
local phases = require "server.phases"
local check_wait = require("server.restrictions").check_wait
local task = require "server.task"

local SCHED = task.SCHED
local raw_create, raw_resume, raw_yield = coroutine.create, coroutine.resume, coroutine.yield
local raw_status, raw_running = coroutine.status, coroutine.running
local by_co = light_threads.by_co
local error, setmetatable, type = error, setmetatable, type

-- Coroutines that the scheduler will resume: those of the user that wait, and the entry threads that user code
-- has asked for.
local scheduled = setmetatable({}, { __mode = "k" })
local outer = setmetatable({}, { __mode = "k" }) -- those that wait because one that they have resumed waits

-- As ngx_lua sees it: what waits runs, and so does every light thread that has not ended; one that has, and that
-- nobody has waited for, is a "zombie".
local function status_of(co)
    local thread = by_co[co]
    if thread and thread.dead then
        return (thread.killed or thread.reaped) and "dead" or "zombie"
    end
    local status = raw_status(co)
    if status == "suspended" and (thread or scheduled[co]) then
        return outer[co] and "normal" or "running"
    end
    return status
end

-- Coroutines that resume each other live on the C stack, whose end LuaJIT does not watch.
local DEPTH_MAX = 10000
local depth = 0

local function come_back(...)
    depth = depth - 1
    return ...
end

local function enter(co, ...)
    if depth >= DEPTH_MAX then
        return false, "C stack overflow"
    end
    depth = depth + 1
    return come_back(raw_resume(co, ...))
end

local pass

local function go_on(co, me, ...)
    scheduled[co], outer[me] = nil, nil
    return pass(co, enter(co, ...))
end

-- What a coroutine's resume gives: to the scheduler what is its, the rest to the user.
function pass(co, ok, ...)
    local first = ...
    if ok and first == SCHED then
        local me = raw_running()
        scheduled[co], outer[me] = true, true
        return go_on(co, me, raw_yield(SCHED))
    elseif not ok and first == "cannot resume running coroutine" and raw_status(co) == "normal" then
        return false, "cannot resume normal coroutine"
    end
    return ok, ...
end

local FILTERS = { header_filter = true, body_filter = true }

-- Where nothing waits ngx_lua leaves coroutines to Lua, which puts a position before an error that goes on.
local function plain()
    local r = current.request
    return r and FILTERS[r.phase] or not r and phases.global == "init"
end

local function check_context()
    if phases.strict and not plain() then
        check_wait(3)
    end
end

local function check_function(fn, name)
    if type(fn) ~= "function" then
        error("bad argument #1 to '" .. name .. "' (Lua function expected)", 3)
    end
end

local function check_coroutine(co, name)
    if type(co) ~= "thread" then
        error("bad argument #1 to '" .. name .. "' (coroutine expected)", 3)
    end
end

-- luacheck: push ignore 122 (replacing them is what this file is for)
function coroutine.create(fn)
    check_function(fn, "create")
    check_context()
    return raw_create(fn)
end

local function resume(co, ...)
    if by_co[co] or scheduled[co] then
        return false, "cannot resume " .. status_of(co) .. " coroutine"
    end
    return pass(co, enter(co, ...))
end

function coroutine.resume(co, ...)
    check_coroutine(co, "resume")
    check_context()
    return resume(co, ...)
end

-- What a wrapped coroutine died of goes on in the one that called it; its stack is for the log.
local function unwrap(co, ok, ...)
    if ok then
        return ...
    end
    local err = ...
    if plain() then
        error(err, 2)
    end
    light_threads.remember_stack(co, err)
    return error(err, 0)
end

function coroutine.wrap(fn)
    check_function(fn, "wrap")
    check_context()
    local co = raw_create(fn)
    return function(...)
        return unwrap(co, resume(co, ...))
    end
end

function coroutine.status(co)
    check_coroutine(co, "status")
    return status_of(co)
end

function coroutine.running()
    local co = raw_running()
    local running = current.task
    if running and running.co == co then
        scheduled[co] = true
    end
    return co
end
-- luacheck: pop

return {}
