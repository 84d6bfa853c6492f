-- Owns the numbers of client connections and requests of all workers together, what nginx's stub_status tells. Each
-- worker gives its own at intervals, once somebody wants to know. Must never be on the path of a request.
local connection = require "server.http.connection"
local identity = require "server.identity"

local ngx = ngx
local max = math.max

local DICT = "internal-status"
local INTERVAL = 1 -- seconds
local LIFETIME = 5 -- of what a worker is doing, in seconds: for those that are gone

local GROWING = { accepted = "accepted", handled = "accepted", requests = "requests" }
local PREFIX = "connections_"

local _M = {}

local given = { accepted = 0, requests = 0 }
local started = false

local function give(dict)
    local totals = connection.totals()
    for name, before in pairs(given) do
        local now = totals[name]
        if now > before then
            dict:incr(PREFIX .. name, now - before, 0)
            given[name] = now
        end
    end
    local active, waiting = connection.count()
    local own = ":" .. identity.id
    dict:set(PREFIX .. "active" .. own, active, LIFETIME)
    dict:set(PREFIX .. "waiting" .. own, waiting, LIFETIME)
end

-- Give this worker's numbers from now on. In init_worker; of no effect where there is no dictionary internal-status.
function _M.start()
    local dict = ngx.shared[DICT]
    if started or not dict or identity.process == "privileged agent" then
        return
    end
    started = true
    ngx.timer.every(INTERVAL, function(premature)
        if not premature then
            give(dict)
        end
    end)
end

local function sum(dict, name)
    local total = 0
    for id = 0, max(identity.count, 1) - 1 do
        total = total + (dict:get(PREFIX .. name .. ":" .. id) or 0)
    end
    return total
end

-- The number of all workers: "accepted", "handled" and "requests" since the start; "active", "waiting", "reading" and
-- "writing" now. 0 where nobody counts.
function _M.total(name)
    local dict = ngx.shared[DICT]
    if not dict then
        return 0
    elseif GROWING[name] then
        return dict:get(PREFIX .. GROWING[name]) or 0
    elseif name == "writing" then
        return max(sum(dict, "active") - sum(dict, "waiting"), 0)
    elseif name == "reading" then
        return 0 -- who has sent part of a request waits, here
    end
    return sum(dict, name)
end

return _M
