-- Owns ngx.run_worker_thread: a Lua function run in a thread, in a Lua VM of its own. Source: the ngx_lua
-- documentation, "ngx.run_worker_thread".
local bridge = require "server.bridge"
local identity = require "server.identity"
local log = require "server.log"
local check_wait = require("server.restrictions").check_wait
local settings = require "server.settings"
local shdict = require "ngx.shdict"
local values = require "server.thread_values"

local select, tostring, type = select, tostring, type

-- What a thread's VM needs to know of this one.
local function boot()
    return (values.pack({
        path = package.path, cpath = package.cpath, prefix = identity.prefix, dicts = shdict.lend(),
        log_fd = log.fd, log_level = log.level,
    }))
end

local function is_text(value)
    return type(value) == "string" or type(value) == "number"
end

-- Run require(module)[name](...) in a thread of the pool (setting thread_pool) while this task waits. Arguments and
-- results are nil, booleans, numbers, strings and tables of these, and are copied. Returns true and the
-- results, or false and an error text.
local function run_worker_thread(...)
    local pool, module, name = ...
    check_wait(2)
    local of_pool = is_text(pool) and settings.thread_pool[tostring(pool)]
    if select("#", ...) < 3 then
        return false, "expecting at least 3 arguments"
    elseif not is_text(pool) then
        return false, "threadpool should be a string"
    elseif not of_pool then
        return false, "thread pool " .. pool .. " not found"
    elseif not is_text(module) then
        return false, "module name should be a string"
    elseif not is_text(name) then
        return false, "function name should be a string"
    end
    local arguments, why = values.pack(select(4, ...))
    if not arguments then
        return false, why .. " in the argument"
    end
    local packed, err = bridge.await.run_worker_thread(
        pool, of_pool.threads or 32, of_pool.max_queue or 65536, settings.worker_thread_vm_pool_size, boot(),
        tostring(module), tostring(name), arguments)
    if not packed then
        return false, err
    end
    return values.unpack(packed)
end

return { run_worker_thread = run_worker_thread }
