-- Owns the question whether ngx_lua would let a function run here, asked when its restrictions are in force
-- (strict). Source: the "context" lines of the ngx_lua documentation.
local contexts = require "server.contexts"
local current = require "server.current"
local phases = require "server.phases"

local error = error

-- Where ngx_lua can wait (NGX_HTTP_LUA_CONTEXT_YIELDABLE); phases by the names that r.phase has.
local WAITABLE = {
    server_rewrite = true, rewrite = true, access = true, precontent = true, content = true, timer = true,
    ssl_certificate = true, ssl_cert = true, ssl_client_hello = true, ssl_session_fetch = true,
    proxy_ssl_cert = true, proxy_ssl_verify = true,
}

local _M = {}

-- ngx_lua's refusal to let something wait here, or nil.
function _M.refusal_to_wait()
    if not current.task then
        return "API disabled in the current context"
    elseif phases.strict then
        local r = current.request
        return not WAITABLE[r and r.phase or phases.global] and contexts.refusal(r) or nil
    end
end

-- Raise unless something can wait here, and ngx_lua would let it. level: of the caller to blame, as error() counts.
function _M.check_wait(level)
    local refusal = _M.refusal_to_wait()
    if refusal then
        error(refusal, level + 1)
    end
end

-- The phases that make a response.
local MAKERS = { server_rewrite = true, rewrite = true, access = true, precontent = true, content = true }

-- Raise unless ngx_lua would let a request's body be read here; a timer has none.
function _M.check_maker(level)
    local r = current.request
    if not r then
        error(contexts.no_request("no request found"), level + 1)
    elseif not MAKERS[r.phase] and (phases.strict or not r.method) then
        error(contexts.refusal(r), level + 1)
    end
end

-- Raise in the phases named by the keys of `forbidden`.
function _M.check(forbidden, level)
    if phases.strict then
        local r = current.request
        if forbidden[r and r.phase or phases.global] then
            error(contexts.refusal(r), level + 1)
        end
    end
end

return _M
