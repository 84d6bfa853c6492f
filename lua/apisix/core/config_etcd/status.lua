-- Owns what other processes can read about this worker's configuration: in the shared dict status-report, by worker id,
-- whether it has been loaded. Written only if apisix.status is configured, as in APISIX. There one directory is enough;
-- here all that a worker starts with have to be there.
local config_local = require "apisix.core.config_local"
local try_read_attr = require("apisix.core.table").try_read_attr

local ngx = ngx
local next = next
local worker_id = ngx.worker.id

local _M = {}

local last
local expected, started = {}, false -- directories that have not come; whether the worker has named all of them

-- loaded: boolean
local function write(loaded)
    if last == loaded then
        return
    end
    last = loaded
    local dict = ngx.shared["status-report"]
    if dict and try_read_attr(config_local.local_conf(), "apisix", "status") then
        dict:set(worker_id(), loaded)
    end
end
_M.write = write

-- Whether the worker has its configuration.
function _M.is_loaded()
    return last == true
end

-- The worker is not ready before that directory has come. What is followed later on does not count.
function _M.expect(key)
    if not started then
        expected[key] = true
    end
end

local function look()
    if started and not next(expected) then
        write(true)
    end
end

-- That directory has been loaded.
function _M.came(key)
    expected[key] = nil
    look()
end

-- No further directories are expected.
function _M.started()
    started = true
    look()
end

return _M
