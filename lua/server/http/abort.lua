-- Owns what comes of a client that goes away while its request runs, where the location asks for that
-- (check_client_abort): the callback of ngx.on_abort, or the end of the request with 499.
local current = require "server.current"
local light_threads = require "server.light_threads"
local log = require "server.log"
local task = require "server.task"

local _M = {}

-- The callback that holds in the phase of r, as {stage, fn, parent, parent_co}, or nil.
local function callback_of(r)
    local abort = r.abort
    return abort and abort.stage == r.stage and abort or nil
end
_M.callback_of = callback_of

local function on_hangup(stream)
    local r = stream.request
    stream.on_hangup = nil
    if r.stage == "log" then
        return
    end
    local outer = current.request
    current.request = r
    log.info("client prematurely closed connection")
    current.request = outer
    local abort = callback_of(r)
    if abort then
        return light_threads.start(r, abort.fn, abort.parent, abort.parent_co)
    end
    return require("server.http.handler").abandon_all(r, 499)
end

local function check(r)
    local stream = r.stream
    if r.watching and stream.hangup and stream.on_hangup == on_hangup and stream.request == r then
        return on_hangup(stream)
    end
end

-- Look out for the end of r's client from now on.
function _M.watch(r)
    local stream = r.stream
    r.watching = true
    stream.request, stream.on_hangup = r, on_hangup
    if stream.hangup then -- it is gone already; what runs now has begun, so that it can register a callback
        return task.later(check, r)
    end
end

-- r is over.
function _M.unwatch(r)
    r.watching = false
    r.stream.on_hangup = nil
end

return _M
