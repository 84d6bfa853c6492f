-- Owns the setting of a response's status: ngx.status, and set_status of the module ngx.resp.
-- Source: the ngx_lua documentation, and lua-resty-core.
local log = require "server.log"
local running = require "ngx.api.running"

local error, tonumber = error, tonumber

-- reason: the words behind the status in the status line, nil: the usual ones. level: of the caller to blame.
return function(status, reason, level)
    local r = running(level + 1)
    status = tonumber(status)
    if not status then
        error("bad argument #2 to 'set_status' (number expected)", level + 1)
    elseif r.header_sent then
        return log.err("attempt to set ngx.status after sending out response headers")
    elseif status < 100 or status > 999 then
        return log.err("invalid HTTP status code ", status)
    end
    r.status, r.reason = status - status % 1, reason ~= "" and reason or nil
end
