-- Owns what of a request to somewhere else may stand in a log: its credentials never. Mirrors
-- apisix.utils.log-sanitize.
local core = require "apisix.core"

local lower = string.lower
local pairs = pairs

local SHOWN = { method = true, scheme = true, host = true, port = true, path = true, ssl_server_name = true }
local SECRET = {
    authorization = true, ["x-api-key"] = true, ["api-key"] = true, cookie = true,
    ["proxy-authorization"] = true, ["x-amz-security-token"] = true,
}

local _M = {}

-- A copy of params (as of resty.http's request) without body and query, its secret headers as "[REDACTED]".
function _M.redact_params(params)
    local shown = core.table.pick(params, SHOWN)
    if params.headers then
        shown.headers = {}
        for name, value in pairs(params.headers) do
            shown.headers[name] = SECRET[lower(name)] and "[REDACTED]" or value
        end
    end
    return shown
end

-- A deep copy without its field auth.
function _M.redact_extra_opts(extra_opts)
    local shown = core.table.deepcopy(extra_opts)
    shown.auth = nil
    return shown
end

return _M
