-- Owns when the copy of the configuration on this machine is written: by one worker, some time after a change, and
-- never for more than a small part of the time. Its file is Python's affair. Must never keep a change waiting.
local bridge = require "server.bridge"
local log = require "apisix.core.log"

local await = bridge.await
local call = bridge.call
local concat = table.concat
local max = math.max
local ngx_timer_at = ngx.timer.at
local pairs = pairs
local worker_id = ngx.worker.id

local AFTER = 1 -- seconds from a change to its writing: more will follow
local SHARE = 20 -- a writing that took a second is followed by none for as many

local _M = {}

local refused = {} -- keys whose data in the store is invalid
local armed = false
local pause = AFTER
local wanted -- whether this worker writes; nil: not asked yet

local function save(premature)
    armed = false
    if premature then
        return
    end
    local keys = {}
    for key in pairs(refused) do
        keys[#keys + 1] = "\0" .. key
    end
    local took, err = await.store_snapshot_save(concat(keys))
    if took then
        pause = max(AFTER, took * SHARE)
    else
        log.error("failed to save a snapshot of the configuration: ", err)
        pause = SHARE
    end
end

-- What the checks said of the data of key; a key that is gone is valid.
function _M.judged(key, valid)
    refused[key] = not valid or nil
end

-- The configuration has changed, by data from the store.
function _M.changed()
    if wanted == nil then
        wanted = worker_id() == 0 and call.store_keeps_snapshot()
    end
    if wanted and not armed then
        armed = ngx_timer_at(pause, save) and true
    end
end

return _M
