-- Owns what a test sees of a worker from within: the context of the last request, shared dictionaries, timers, what is
-- open. Called by pygw.testing alone, outside of any request. Must never change what it looks at.
local bridge = require "server.bridge"
local config = require "apisix.core.config_etcd"
local connection = require "server.http.connection"
local json = require "apisix.core.json"
local streams = require "server.stream"
local tables = require "apisix.core.table"
local task = require "server.task"

local co_status = coroutine.status
local collectgarbage = collectgarbage
local loadstring = loadstring
local ngx = ngx
local pairs = pairs
local randomseed = math.randomseed
local rawget = rawget
local setmetatable = setmetatable
local tostring = tostring
local type = type

local _M = {}

local tasks = setmetatable({}, { __mode = "k" }) -- all that began since watch()
local last -- api_ctx of the last request, as it was when its log phase had ended

-- Keep the context of requests from now on; chance begins at seed.
function _M.watch(seed)
    if seed > 0 then
        randomseed(seed)
    end
    local new_task = task.new
    function task.new(...)
        local made = new_task(...)
        tasks[made] = true
        return made
    end
    local apisix = require "apisix"
    local log_phase = apisix.http_log_phase
    function apisix.http_log_phase(...)
        local api_ctx = ngx.ctx.api_ctx
        last = api_ctx and tables.clone(api_ctx)
        if last and last.var then
            last.var = tables.clone(rawget(last.var, "_cache") or {})
        end
        return log_phase(...)
    end
end

-- What JSON can say of a value; of the rest its text.
local function plain(value, depth)
    local kind = type(value)
    if kind == "table" then
        if depth == 0 then
            return "…"
        end
        local copy, list = {}, #value > 0
        for key, each in pairs(value) do
            copy[list and key or tostring(key)] = plain(each, depth - 1)
        end
        return copy
    elseif kind == "string" or kind == "number" or kind == "boolean" then
        return value
    end
    return tostring(value)
end

-- The context of the last request as JSON; "null" when there was none.
function _M.context()
    return json.encode(last and plain(last, 6))
end

-- What a function of Lua's returns, as JSON: an array of its results.
function _M.evaluate(code)
    local run, err = loadstring(code, "=test")
    if not run then
        return nil, err
    end
    local results = { run() }
    return json.encode(plain(results, 8))
end

-- Whether a plugin of that name is loaded.
function _M.has_plugin(name)
    return require("apisix.plugin.loader").plugins_hash[name] ~= nil
end

-- How far the configuration has come: the revision up to which the directory ("routes") has been dealt with, and that
-- of its item of this name, 0 for none. nil for a directory that nobody follows.
function _M.progress(directory, name)
    local object = config.fetch_created_obj("/" .. directory)
    if not object or not object.values then
        return nil
    end
    local at = object.values_hash[name]
    local item = at and object.values[at]
    return object.prev_index, item and item.modifiedIndex or 0
end

-- The keys and values of a shared dictionary as JSON; nil when there is none of that name.
function _M.shared(name)
    local dict = ngx.shared[name]
    if not dict then
        return nil
    end
    local found = {}
    for _, key in pairs(dict:get_keys(0)) do
        found[key] = plain(dict:get(key), 1)
    end
    return json.encode(found)
end

-- Whether anything waits for a socket but those of the clients.
function _M.waits_for_io()
    local clients = connection.streams()
    for _, stream in pairs(streams.by_fd) do
        if (stream.reader or stream.writer) and not clients[stream] then
            return true
        end
    end
    return false
end

-- What is open now: timers that wait or run, sockets, tasks, entries of shared
-- dictionaries, KiB of Lua's memory.
function _M.open()
    collectgarbage()
    collectgarbage()
    local sockets, entries, coroutines = 0, 0, 0
    for each in pairs(tasks) do
        coroutines = coroutines + (each.dead and 0 or co_status(each.co) == "dead" and 0 or 1)
    end
    for _ in pairs(streams.by_fd) do
        sockets = sockets + 1
    end
    for _, dict in pairs(ngx.shared) do
        entries = entries + #dict:get_keys(0)
    end
    return json.encode({
        timers = bridge.call.timer_pending() + bridge.call.timer_running(), sockets = sockets,
        coroutines = coroutines, shared_entries = entries, memory = collectgarbage("count"),
    })
end

return _M
