-- Owns the way of a trace to who asked for it: a Unix socket beside the pid file, which `pygw trace` has made. So
-- only who may write there sees traces. Must never hold up a request.
local core = require "apisix.core"

local find = string.find
local match = string.match
local ngx = ngx

local TIMEOUT = 2000 -- milliseconds

local function directory()
    local pid_file = core.table.try_read_attr(core.config.local_conf(), "pygw", "pid")
    local found = match(pid_file, "^(.*)/[^/]*$") or "."
    return find(found, "^/") and found or ngx.config.prefix() .. found
end

local function deliver(premature, id, text)
    if premature then
        return
    end
    local sock = ngx.socket.tcp()
    sock:settimeout(TIMEOUT)
    local ok, err = sock:connect("unix:" .. directory() .. "/trace-" .. id .. ".sock")
    if ok then
        ok, err = sock:send(text)
    end
    if not ok then
        core.log.warn("nobody takes the trace ", id, " of a request: ", err)
    end
    sock:close()
end

-- id: the number that the request brought; report: a table.
return function(id, report)
    local ok, err = ngx.timer.at(0, deliver, id, core.json.encode(report))
    if not ok then
        core.log.warn("the trace ", id, " of a request is lost: ", err)
    end
end
