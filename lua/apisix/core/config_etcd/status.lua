-- Owns what other processes can read about this worker's configuration: in the shared dict status-report, by worker id,
-- whether it has been loaded. Written only if apisix.status is configured, as in APISIX.
local config_local = require "apisix.core.config_local"
local try_read_attr = require("apisix.core.table").try_read_attr

local ngx = ngx
local worker_id = ngx.worker.id

local last

-- loaded: boolean
return function(loaded)
    if last == loaded then
        return
    end
    last = loaded
    local dict = ngx.shared["status-report"]
    if dict and try_read_attr(config_local.local_conf(), "apisix", "status") then
        dict:set(worker_id(), loaded)
    end
end
