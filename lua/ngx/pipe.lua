-- Owns the module ngx.pipe: processes and the pipes to their standard streams. Source: lua-resty-core,
-- ngx.pipe. Must never wait but by yielding the task.
local bridge = require "server.bridge"
local children = require "server.children"
local clock = require "server.clock"
local current = require "server.current"
local log = require "server.log"
local options = require "ngx.pipe_options"
local phases = require "server.phases"
local pipes = require "server.pipe"
local check_wait = require("server.restrictions").check_wait
local spawn = require "server.spawn"
local stream = require "server.stream"
local task = require "server.task"
local ffi = require "ffi"

local C = ffi.C
local error, getmetatable, newproxy, setmetatable = error, getmetatable, newproxy, setmetatable
local concat = table.concat
local tonumber, tostring, type = tonumber, tostring, type

local EINVAL, ESRCH = 22, 3

local Proc = {}
local metatable = { __index = Proc, __name = "process" }

local function check(proc)
    if getmetatable(proc) ~= metatable then
        error("not a process instance", 3)
    end
    return proc.state
end

-- Close all pipes. Whoever waits for one is told "closed".
local function close_pipes(state)
    state.closed = true
    for _, side in ipairs { "stdin", "stdout", "stderr" } do
        local pipe = state[side]
        if pipe then
            pipe:close("closed")
        end
    end
end

-- The process is of no use to anybody any more.
local function destroy(state)
    if not state.destroyed then
        state.destroyed = true
        log.debug("lua pipe destroy process:", state.name, " pid:", state.pid)
        if not state.child.reason then
            log.debug("lua pipe kill process:", state.name, " pid:", state.pid)
            children.forget(state.pid)
        end
        close_pipes(state)
    end
end

local function collected(state)
    if not (state.destroyed or children.over) then
        children.forget(state.pid)
        return task.later(destroy, state) -- a finalizer may run anywhere: no calls into the hub from there
    end
end

-- What the code of a request (or timer) r has started ends with it.
local function belong(state)
    local r = current.request
    if r then
        r.processes = r.processes or {}
        r.processes[state] = true
    end
end

local serial = 0

local function new(child, opts)
    serial = serial + 1
    local state = {
        pid = child.pid, child = {}, closed = false, destroyed = false, merged = opts.merged, timeouts = opts.timeouts,
        name = ("%016X"):format(serial), -- where nginx's log lines have an address
    }
    for _, side in ipairs { "stdin", "stdout", "stderr" } do
        state[side] = child[side] and pipes.new(child[side], opts.buffer_size)
    end
    children.watch(child.pid, state.child)
    belong(state)
    local anchor = newproxy(true) -- a table has no finalizer
    getmetatable(anchor).__gc = function()
        return collected(state)
    end
    return setmetatable({ state = state, anchor = anchor }, metatable)
end

local _M = { version = "0.1.33" }

-- Start a process. args: array of strings, or a command for the shell; opts: merge_stderr, buffer_size
-- (bytes, 4096), environ (array of "name=value"), write_timeout, stdout_read_timeout, stderr_read_timeout,
-- wait_timeout (milliseconds, 10000; 0: none). Returns the process, or nil and an error text.
function _M.spawn(args, opts)
    if phases.global == "init" and not current.request then
        error("API disabled in the current context", 2)
    end
    local argv = options.arguments(args)
    opts = options.read(opts)
    local child, err = spawn(argv[1], argv, opts.environ, opts.merged)
    if not child then
        return nil, err
    end
    if child.missing then
        log.err("lua pipe child execvp() failed while executing ", argv[1], " (", child.missing, ": ",
            ffi.string(C.strerror(child.missing)), ")")
    end
    local proc = new(child, opts)
    log.debug("lua pipe spawn process:", proc.state.name, " pid:", child.pid, " merge_stderr:",
        opts.merged and 1 or 0, " buffer_size:", opts.buffer_size)
    return proc
end

function Proc:pid()
    return check(self).pid
end

-- In milliseconds; nil leaves one as it is, 0 means none.
function Proc:set_timeouts(write, stdout, stderr, wait)
    local state = check(self)
    state.timeouts = options.timeouts(state.timeouts, write, stdout, stderr, wait)
end

local Waiting = {} -- the place of a task that waits for the end of a process
Waiting.__index = Waiting

local function leave(self)
    self.child.waiter = nil
    if self.timer then
        bridge.cancel(self.timer)
        self.timer = nil
    end
end

function Waiting:cancel_wait()
    log.debug("lua pipe proc wait cleanup")
    return leave(self)
end

function Waiting:on_exit()
    leave(self)
    return task.wake(self.task, true)
end

function Waiting:on_timer()
    self.timer = nil
    leave(self)
    return task.resume(self.task, nil)
end

local function wait_for_exit(state)
    local place = setmetatable({ child = state.child, task = current.task }, Waiting)
    state.child.waiter = place
    local milliseconds = state.timeouts.wait
    if milliseconds > 0 then
        log.debug("lua pipe add timer for waiting: ", milliseconds, "(ms)")
        place.timer = bridge.call_at(clock.monotonic() + milliseconds / 1000, place)
    end
    return task.wait(place)
end

-- Wait for the end. Returns whether it was one with 0, "exit" or "signal", and the number of either; or nil
-- and "timeout", "exited" (asked before) or "pipe busy waiting".
function Proc:wait()
    local state = check(self)
    check_wait(2)
    local child = state.child
    log.debug("lua pipe wait process:", state.name, " pid:", state.pid)
    if state.closed then
        return nil, "exited"
    elseif child.waiter then
        return nil, "pipe busy waiting"
    elseif not child.reason and not wait_for_exit(state) then
        return nil, "timeout"
    end
    close_pipes(state)
    return child.status == 0, child.reason, child.status
end

-- signal: its number. Returns true, or nil and "exited", "invalid signal" or the system's error text.
function Proc:kill(signal)
    local state = check(self)
    if type(signal) ~= "number" then
        error("bad signal arg: number expected, got " .. tostring(signal), 2)
    end
    if state.destroyed or state.child.reason then
        return nil, "exited"
    elseif C.kill(state.pid, signal) == 0 then
        return true
    end
    local errno = ffi.errno()
    return nil, errno == EINVAL and "invalid signal" or errno == ESRCH and "exited" or stream.error_text(errno)
end

local DIRECTIONS = { stdin = true, stdout = true, stderr = true }

-- Close "stdin", "stdout" or "stderr"; who waits there is told "aborted". Returns true, or nil and "closed" or
-- "merged to stdout".
function Proc:shutdown(direction)
    local state = check(self)
    if not DIRECTIONS[direction] then
        error("bad shutdown arg: " .. tostring(direction), 2)
    elseif state.closed then
        return nil, "closed"
    elseif direction == "stderr" and state.merged then
        return nil, "merged to stdout"
    end
    state[direction]:close("aborted")
    return true
end

local function text_of(data)
    local kind = type(data)
    if kind == "string" then
        return data
    elseif kind == "table" then
        return concat(data)
    elseif kind == "number" then
        return tostring(data)
    end
    error("bad data arg: string, number, or table expected, got " .. kind, 3)
end

-- Write all of data (a string, a number, an array of these). Returns the number of bytes, or nil and
-- "timeout", "closed", "aborted", "pipe busy writing" or the system's error text.
function Proc:write(data)
    local state = check(self)
    check_wait(2)
    local text = text_of(data)
    local pipe = state.stdin
    if state.closed or pipe:closed() then
        return nil, "closed"
    elseif pipe:busy() then
        return nil, "pipe busy writing"
    end
    return pipe:write(text, state.timeouts.write / 1000)
end

local function read(state, side, pattern, limit)
    check_wait(3)
    if state.closed then
        return nil, "closed"
    elseif side == "stderr" and state.merged then
        return nil, "merged to stdout"
    end
    local pipe = state[side]
    if pipe:closed() then
        return nil, "closed"
    elseif pipe:busy() then
        return nil, "pipe busy reading"
    end
    return pipe:read(state.timeouts[side] / 1000, pattern, limit)
end

-- For stdout and stderr: SIDE_read_all(), _line(), _bytes(count), _any(max). Each returns the data; or nil,
-- "timeout", "closed", "aborted", "merged to stdout", "pipe busy reading" or the system's error text, and what
-- has come so far.
for _, side in ipairs { "stdout", "stderr" } do
    Proc[side .. "_read_all"] = function(self)
        return read(check(self), side, "all")
    end
    Proc[side .. "_read_line"] = function(self)
        return read(check(self), side, "line")
    end
    Proc[side .. "_read_bytes"] = function(self, count)
        local state = check(self)
        if count < 0 then
            error("bad len argument", 2)
        elseif count == 0 then
            return ""
        end
        return read(state, side, "bytes", count)
    end
    Proc[side .. "_read_any"] = function(self, max)
        local state = check(self)
        max = tonumber(max)
        if not max or max <= 0 then
            error("bad max argument", 2)
        end
        return read(state, side, "any", max)
    end
end

-- End what the code of a request (or timer) r has started and not waited for.
function _M.destroy_all(r)
    local processes = r.processes
    r.processes = nil
    for state in pairs(processes) do
        destroy(state)
    end
end

return _M
