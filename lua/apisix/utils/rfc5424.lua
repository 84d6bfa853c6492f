-- Owns the lines of syslog's protocol (RFC 5424). Mirrors apisix.utils.rfc5424.
local log_util = require "apisix.utils.log-util"

local concat = table.concat
local format = string.format
local ipairs = ipairs

local FACILITIES = {
    KERN = 0, USER = 1, MAIL = 2, DAEMON = 3, AUTH = 4, SYSLOG = 5, LPR = 6, NEWS = 7, UUCP = 8, CRON = 9,
    AUTHPRIV = 10, FTP = 11, LOCAL0 = 16, LOCAL1 = 17, LOCAL2 = 18, LOCAL3 = 19, LOCAL4 = 20, LOCAL5 = 21,
    LOCAL6 = 22, LOCAL7 = 23,
}
local SEVERITIES = { -- the first as APISIX spells it
    EMEGR = 0, ALERT = 1, CRIT = 2, ERR = 3, WARNING = 4, NOTICE = 5, INFO = 6, DEBUG = 7,
}

local _M = { version = 0.1 }

local function structured(params)
    if not params then
        return "-"
    end
    local out = { "[logservice" }
    for i, param in ipairs(params) do
        out[i + 1] = format(' %s="%s"', param.name, param.value)
    end
    out[#out + 1] = "]"
    return concat(out)
end

-- One line. facility, severity: their names ("SYSLOG", "INFO"); hostname, appname: "-" when nil;
-- structured_data: array of {name, value}, or nil.
function _M.encode(facility, severity, hostname, appname, pid, msg, structured_data)
    local priority = FACILITIES[facility] * 8 + SEVERITIES[severity]
    return format("<%d>1 %s %s %s %d - %s %s\n", priority, log_util.get_rfc3339_zulu_timestamp(),
        hostname or "-", appname or "-", pid, structured(structured_data), msg)
end

return _M
