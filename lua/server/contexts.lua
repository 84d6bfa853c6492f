-- Owns the names of the contexts in which Lua code runs, as ngx_lua's messages give them. Must never decide
-- what may run in one.
local phases = require "server.phases"

-- Phases that ngx.get_phase calls by a shorter name.
local FULL = { ssl_cert = "ssl_certificate", proxy_ssl_cert = "proxy_ssl_certificate" }

local _M = {}

-- The name of a phase's context.
function _M.name(phase)
    if phase == "timer" then
        return "ngx.timer"
    end
    return (FULL[phase] or phase) .. "_by_lua*"
end

-- The name of the context that request r runs in; r: nil outside of any request.
function _M.of(r)
    return _M.name(r and r.phase or phases.global)
end

-- ngx_lua's refusal of a function in the context of r.
function _M.refusal(r)
    return "API disabled in the context of " .. _M.of(r)
end

-- The same outside of any request; words: what is said instead before the worker has started.
function _M.no_request(words)
    return phases.global == "init" and words or _M.refusal(nil)
end

return _M
