-- Owns the module ngx.process. Source: lua-resty-core, ngx.process.
local sysinfo = require "server.sysinfo"

local _M = { version = "0.1.28" }

function _M.type()
    return "worker"
end

function _M.get_master_pid()
    return sysinfo.getppid()
end

return _M
