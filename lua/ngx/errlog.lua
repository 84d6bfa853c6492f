-- Owns the module ngx.errlog. Source: lua-resty-core, ngx.errlog.
local log = require "server.log"

local error, type = error, type

local _M = { version = "0.1.28" }

-- The level of the error log: 0..8 as ngx.STDERR..ngx.DEBUG.
function _M.get_sys_filter_level()
    return log.level
end

-- Write text as it is, without the position of the caller.
function _M.raw_log(level, text)
    if type(level) ~= "number" or level < 0 or level > 8 then
        error("bad log level", 2)
    end
    if type(text) ~= "string" then
        error("bad argument #2 to 'raw_log' (must be a string)", 2)
    end
    log.write(level, text)
end

return _M
