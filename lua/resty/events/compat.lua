-- Owns events under the names of lua-resty-worker-events (API of lua-resty-events' resty.events.compat): one channel
-- for the worker.
local events = require "resty.events"

local ipairs = ipairs

local hub -- of this worker, once it is configured
local ids = {} -- callback -> the ids of its subscriptions

local _M = { _VERSION = events._VERSION }

-- opts: of resty.events. Once per worker. Returns true, or nil, err.
function _M.configure(opts)
    local made = events.new(opts)
    local ok, err = made:init_worker()
    if not ok then
        return nil, err
    end
    hub = made
    return true
end

function _M.configured()
    return hub ~= nil
end

-- Events come by themselves.
function _M.poll()
    return "done"
end

local function done(ok, err)
    return ok and "done" or nil, err
end

-- Tell all workers; with unique (a text) only one, and only once within the timeout. Returns "done", or nil, err.
function _M.post(source, event, data, unique)
    return done(hub:publish(unique or "all", source, event, data))
end

-- Tell this worker alone.
function _M.post_local(source, event, data)
    return done(hub:publish("current", source, event, data))
end

-- callback(data, event, source, worker id) is called for these events of source; nil: for all.
function _M.register(callback, source, event, ...)
    local of_callback = ids[callback] or {}
    ids[callback] = of_callback
    for _, name in ipairs({ event or "*", ... }) do
        of_callback[#of_callback + 1] = hub:subscribe(source or "*", name, callback)
    end
end
_M.register_weak = _M.register

function _M.unregister(callback)
    for _, id in ipairs(ids[callback] or {}) do
        hub:unsubscribe(id)
    end
    ids[callback] = nil
end

return _M
