-- Owns the life of a worker's Lua side: boot, serving, the two ways to stop.
require "ngx.api"
require "resty.core" -- as ngx_lua does, for those who look whether it is loaded
require "server.python_plugins" -- it adds entries
require "server.python_services" -- likewise
local bridge = require "server.bridge"
local connection = require "server.http.connection"
local contract = require "server.contract"
local guard_globals = require "server.globals"
local hooks = require "server.hooks"
local identity = require "server.identity"
local log = require "server.log"
local phases = require "server.phases"
local servers = require "server.http.servers"
local settings = require "server.settings"
local shdict = require "ngx.shdict"
local streams = require "server.stream"
local task = require "server.task"

local collectgarbage = collectgarbage
local traceback = debug.traceback
local tostring = tostring

local _M = {}

-- Run fn as a task outside of any request; then(ok, err) hears how it ended, with a traceback.
local function run_task(fn, after)
    return task.resume(task.new(fn, nil, function(self, ok, err)
        return after(ok, ok or (tostring(err) .. "\n" .. traceback(self.co)))
    end))
end

local function load_app(path)
    if path then
        local chunk, err = loadfile(path)
        if not chunk then
            error(err, 0)
        end
        return chunk()
    end
    return require "apisix.application"
end

local function boot(config)
    for name, size in pairs(config.shared_dicts) do
        shdict.declare(name, size, config.shared_fds[name])
    end
    local app = contract.check(load_app(config.app))
    for name, value in pairs(app.settings or {}) do
        settings[name] = value
    end
    if settings.capture_error_log > 0 then
        require("server.log_capture").start(settings.capture_error_log)
    end
    phases.app, phases.strict = app, config.strict
    if config.process ~= "privileged agent" then -- that one serves nobody
        servers.build(app, #config.listeners)
    end
    phases.global = "init"
    collectgarbage("stop") -- nearly all that a start makes is kept: with 100,000 routes, a quarter of its time
    if app.init then
        app.init()
    end
    guard_globals()
    phases.global = "init_worker"
    if app.init_worker then
        app.init_worker()
    end
    collectgarbage("restart")
    for number, listener in ipairs(config.listeners) do
        connection.listen(listener, servers.site(number))
    end
end

-- Start the worker. config: {id, count, process (see server.identity), prefix, app (a path, nil: apisix),
-- listeners (array of {fd, tls}), strict (OpenResty's restrictions by phase), log_fd, log_level,
-- http (overrides of server.settings), shared_dicts (name -> bytes), shared_fds (name -> descriptor), hooks (array
-- of the names of Python hooks that have implementations)}.
-- bridge.call.started hears nil, or why it failed; the descriptors may be closed then.
function _M.start(config)
    identity.id, identity.count, identity.prefix = config.id, config.count, config.prefix
    identity.process, identity.listeners = config.process, config.listeners
    log.fd, log.level = config.log_fd, config.log_level
    for _, name in ipairs(config.hooks) do
        hooks.wanted[name] = true
    end
    log.record = hooks.wanted.pygw_log_record and bridge.call.log_record or nil
    for name, value in pairs(config.http) do
        settings[name] = value
    end
    run_task(function()
        return boot(config)
    end, function(ok, err)
        return bridge.call.started(not ok and err or nil)
    end)
end

local leaving = false

local function leave()
    if leaving then
        return
    end
    leaving = true
    local handler = phases.app.exit_worker
    phases.global = "exit_worker"
    run_task(handler or function() end, function(ok, err)
        if not ok then
            log.err("exit_worker failed: ", err)
        end
        return bridge.call.stopped()
    end)
end

-- Stop. graceful: finish what is under way first, unless told to stop at once meanwhile.
-- bridge.call.stopped hears when all is done.
function _M.stop(graceful)
    local draining = identity.exiting
    identity.exiting = true
    if not graceful then
        return leave()
    end
    if not draining then
        return connection.drain(leave)
    end
end

local entries = bridge.entries
entries.dispatch = streams.dispatch
entries.start = _M.start
entries.stop = _M.stop
entries.connections = connection.count
entries.hand_over = connection.hand_over
entries.close_all = streams.close_all

return _M
