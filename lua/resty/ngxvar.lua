-- Owns the reading of variables past the look-up of ngx.var. Source: lua-var-nginx-module, resty.ngxvar.
local current = require "server.current"
local vars = require "server.vars"

local tonumber = tonumber

-- Variables that are numbers here.
local NUMBERS = {
    request_time = true, upstream_response_time = true, upstream_connect_time = true, upstream_header_time = true,
}

local _M = {}

-- The running request, for fetch(); nil outside of requests.
function _M.request()
    return current.request
end

-- The value of a variable of `request` (nil: of the running one); times are numbers, of the last try where there were
-- several. Returns nil and an error text outside of requests.
function _M.fetch(name, request)
    local r = request or current.request
    if not r then
        return nil, "no request found"
    end
    local value = vars.getter(name)(r)
    if value and NUMBERS[name] then
        return tonumber(value:match("[^, ]+$")) or value
    end
    return value
end

return _M
