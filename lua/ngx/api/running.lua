-- Owns the question which request runs: every function of ngx.* that is about a request asks here.
local current = require "server.current"
local phases = require "server.phases"

local error = error

-- The running request. level: of the caller to blame (2: the function that called this one's caller).
-- Raises outside of requests, in ngx_lua's words.
return function(level)
    local r = current.request
    if not r and phases.global == "init" then
        error("no request found", level + 1)
    elseif not r or not r.method then
        error("API disabled in the current context", level + 1)
    end
    return r
end
