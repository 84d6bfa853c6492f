-- Owns subrequests: requests that a request makes of the same server, whose output is captured. Each has a
-- task of its own; whoever asked for several waits for all. They end when the one that waits is killed.
-- Mirrors ngx_http_lua_subrequest.c.
local buffer = require "string.buffer"
local current = require "server.current"
local failures = require "server.http.failures"
local handler = require "server.http.handler"
local requests = require "server.http.request"
local task = require "server.task"

local ipairs, setmetatable, tonumber, type = ipairs, setmetatable, tonumber, type

local _M = {}

-- What takes the place of a client's stream: it keeps what is sent. Whoever asks for anything else about the
-- connection is asking about the client's.
local Sink = {}

local SINK = {
    __index = function(self, key)
        return Sink[key] or self.stream[key]
    end,
}

function Sink:send_some(pointer, size)
    self.body:putcdata(pointer, size)
    return size
end

function Sink:send(pointer, size)
    self.body:putcdata(pointer, size)
    return true
end

local function new_sink(stream)
    return setmetatable({
        body = buffer.new(), stream = stream, on_hangup = false, hangup = false, turn = false,
    }, SINK)
end

-- Make a subrequest of parent for uri and args (a string or nil), decoded and safe.
function _M.new(parent, uri, args)
    local r = requests.of_parent(parent, new_sink(parent.main.stream))
    r.uri, r.args = uri, args
    return r
end

-- The place where a task waits for subrequests.
local Capture = { subrequests = true }
Capture.__index = Capture

local function forget(capture)
    local parent = capture.parent
    parent.pending = parent.pending - 1
end

function Capture:cancel_wait()
    forget(self)
    self.left = 0
    for _, r in ipairs(self.requests) do
        if not r.over then
            r.over = true
            handler.kill(r)
        end
    end
end

local function on_end(r)
    if r.over then
        return
    end
    r.over = true
    local capture = r.capture
    capture.left = capture.left - 1
    if capture.left == 0 and not capture.starting then
        forget(capture)
        return task.wake(capture.task)
    end
end

local function on_done(self, ok, err)
    local r = self.request
    if ok then
        return on_end(r)
    elseif failures.note(r, self, err) then
        return r:restart(handler.fail)
    end
    handler.kill(r)
    return on_end(r)
end

-- Give r a new task that begins with action(r, argument); the old one never runs again.
local function restart(r, action, argument)
    local again = task.new(function()
        return action(r, argument)
    end, r, on_done)
    r.task.dead = true
    r.task = again
    return task.resume(again)
end

local function start(r)
    r.restart = restart
    r.task = task.new(function()
        return handler.run_subrequest(r)
    end, r, on_done)
    return task.run_in_turn(r.task)
end

-- Run subrequests of the running request, all at once, and wait until they have ended.
function _M.run(list)
    local parent, running = current.request, current.task
    local capture = setmetatable({
        parent = parent, requests = list, left = #list, task = running, starting = true,
    }, Capture)
    parent.pending = parent.pending + 1
    task.leave(function()
        running.waiting = capture
        for _, r in ipairs(list) do
            r.capture = capture
            if not running.dead then -- one of them may have ended the whole request
                start(r)
            end
        end
        capture.starting = false
        if capture.left == 0 and not running.dead then
            forget(capture)
            return task.resume(running)
        end
    end)
end

local function put(fields, name, value)
    local present = fields[name]
    if present == nil then
        fields[name] = value
    elseif type(present) == "table" then
        present[#present + 1] = value
    else
        fields[name] = { present, value }
    end
end

-- The fields of a response as a plain table; the length of a proxied one is a number, as nginx keeps it.
local function result_fields(r)
    local fields, resp = {}, r.resp
    for i = 1, resp.n, 3 do
        local key, value = resp[i], resp[i + 2]
        if key == "content-length" and r.upstream_headers then
            value = tonumber(value)
        end
        put(fields, resp[i + 1], value)
    end
    if r.status ~= 304 and not fields["Content-Type"] then
        fields["Content-Type"] = r.default_type
    end
    return fields
end

-- What came of a subrequest: {status, header, body, truncated}.
function _M.result(r)
    return {
        status = r.status, header = result_fields(r), body = r.stream.body:get(),
        truncated = r.truncated or r.no_body or r.end_hidden or not r.done,
    }
end

return _M
