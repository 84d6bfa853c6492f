-- Owns events between the workers of this gateway, as plugins ask for them. Mirrors apisix.events.
local worker_events = require "resty.events.compat"

local assert = assert
local error = error
local ipairs = ipairs
local setmetatable = setmetatable
local tostring = tostring

local UNIQUE_TIMEOUT = 5 -- seconds

local _M = {}

-- Once per worker; a second call does nothing.
function _M.init_worker()
    if _M.inited then
        return
    end
    _M.inited = true
    assert(worker_events.configure({ unique_timeout = UNIQUE_TIMEOUT }))
    _M.worker_events = worker_events
end

-- callback(data, event, source, worker id) is called for the events named of source; without these for all.
function _M.register(_, callback, source, event, ...)
    return worker_events.register(callback, source, event, ...)
end

-- A table of the names of a source's events, by name; asking it for another one is an error.
function _M.event_list(_, source, ...)
    local names = { _source = source }
    for _, name in ipairs({ ... }) do
        names[name] = name
    end
    return setmetatable(names, { __index = function(_, name)
        error("event '" .. tostring(name) .. "' is an unknown event", 2)
    end })
end

-- Tell all workers, this one included; unique: a text, with which one of them alone is told.
-- Returns "done", or nil, err.
function _M.post(_, source, event, data, unique)
    return worker_events.post(source, event, data, unique)
end

return _M
