-- Owns events between workers: who subscribes to which, and the calling of them (API of lua-resty-events). There is no
-- broker and no socket: see events/channel.lua.
local channel = require "resty.events.channel"
local json = require "cjson.safe"

local assert = assert
local next = next
local pairs = pairs
local setmetatable = setmetatable
local sort = table.sort
local timer_at = ngx.timer.at
local tostring = tostring
local traceback = debug.traceback
local type = type
local worker_id = ngx.worker.id
local xpcall = xpcall

local ERR, log = ngx.ERR, ngx.log
local DICT_NAME = "worker-events"
local UNIQUE_TIMEOUT = 5 -- seconds

local _M = { _VERSION = "0.1.3" }
local metatable = { __index = _M }

local function call(subscriber, event)
    local ok, err = xpcall(subscriber.fn, traceback, event.data, event.event, event.source, event.wid)
    if not ok then
        log(ERR, "worker-events: event callback failed; source=", event.source, ", event=", event.event,
            ", wid=", event.wid, " error='", tostring(err), "', data=",
            type(event.data) == "table" and json.encode(event.data) or tostring(event.data))
    end
end

local function is_for(subscriber, event)
    return (subscriber.source == "*" or subscriber.source == event.source)
        and (subscriber.event == "*" or subscriber.event == event.event)
end

-- In the order of subscription; a subscriber may subscribe and unsubscribe.
local function deliver(subscribers, event)
    local ids = {}
    for id, subscriber in pairs(subscribers) do
        if is_for(subscriber, event) then
            ids[#ids + 1] = id
        end
    end
    sort(ids)
    for _, id in pairs(ids) do
        if subscribers[id] then
            call(subscribers[id], event)
        end
    end
end

-- opts: unique_timeout, seconds (default 5); dict_name, a shared dictionary (default "worker-events"). The rest
-- (broker_id, listening, …) says nothing here.
function _M.new(opts)
    assert(type(opts) == "table", "Expected a table, got " .. type(opts))
    return setmetatable({
        dict_name = opts.dict_name or DICT_NAME,
        unique_timeout = opts.unique_timeout or UNIQUE_TIMEOUT,
        subscribers = {}, last_id = 0,
    }, metatable)
end

-- Once per worker. Returns true, or nil, err.
function _M:init_worker()
    local err
    self.channel, err = channel.new(self.dict_name, function(event)
        return deliver(self.subscribers, event)
    end)
    return self.channel and true, err
end

function _M:is_ready()
    return self.channel ~= nil
end

-- target: "all" workers, the "current" one, or any other text: one of the workers, and of several events with that
-- text within unique_timeout only the first. data: what JSON can carry. Subscribers are called in a timer.
-- Returns true, or nil, err.
function _M:publish(target, source, event, data)
    assert(type(target) == "string" and target ~= "", "target is required")
    assert(type(source) == "string" and source ~= "", "source is required")
    assert(type(event) == "string" and event ~= "", "event is required")
    local whole = { source = source, event = event, data = data, wid = worker_id() }
    if target == "current" then
        local ok, err = timer_at(0, function(premature)
            return not premature and deliver(self.subscribers, whole)
        end)
        return ok and true, err
    end
    whole.unique = target ~= "all" and target or nil
    return self.channel:post(whole, self.unique_timeout)
end

-- fn(data, event, source, worker id) is called for each event; "*" as source or event: whatever it is. Returns an id
-- for unsubscribe.
function _M:subscribe(source, event, fn)
    self.last_id = self.last_id + 1
    self.subscribers[self.last_id] = { source = source, event = event, fn = fn }
    self.channel:listen(true)
    return self.last_id
end

function _M:unsubscribe(id)
    self.subscribers[id] = nil
    self.channel:listen(next(self.subscribers) ~= nil)
end

return _M
