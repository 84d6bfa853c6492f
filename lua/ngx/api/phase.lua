-- Owns ngx.get_phase. Source: the ngx_lua documentation.
local current = require "server.current"
local phases = require "server.phases"

local _M = {}

function _M.get_phase()
    local r = current.request
    return r and r.phase or phases.global
end

return _M
