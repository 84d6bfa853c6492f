-- Owns when the files of a cache are looked through, so that they take no more room than the zone has: after so much
-- was written, and with the first response that a worker keeps. The looking is done in Python, by a thread.
local bridge = require "server.bridge"
local log = require "server.log"
local task = require "server.task"

local setmetatable = setmetatable

local SHARE = 20 -- a sweep is due when a worker has written this part of the zone

local _M = {}

local written = setmetatable({}, { __mode = "k" }) -- zone -> bytes since its last sweep; nil before the first
local running = {}

local function sweep(zone)
    local ok, err = bridge.await.sweep_cache(zone.path, zone.max_size, zone.inactive)
    if not ok then
        log.err("sweeping the cache in ", zone.path, " failed: ", err)
    end
end

-- A file of `size` bytes was added to a zone.
function _M.note(zone, size)
    local total = written[zone]
    if total and total + size < zone.max_size / SHARE or running[zone] then
        written[zone] = (total or 0) + size
        return
    end
    written[zone], running[zone] = 0, true
    return task.run_in_turn(task.new(function()
        return sweep(zone)
    end, nil, function(_, ok, err)
        running[zone] = nil
        if not ok then
            log.err("sweeping the cache in ", zone.path, " failed: ", err)
        end
    end))
end

return _M
