-- Owns the access phase around access_by_lua: allow, deny, auth_request, satisfy.
local log = require "server.log"

local ipairs = ipairs

local _M = {}

local function matches(rule)
    return rule == "all" or rule == ngx.var.remote_addr or rule == "127.0.0.0/8"
end

-- The verdict of allow and deny directives: true, false, or nil where none matches.
local function by_address(rules)
    for _, rule in ipairs(rules) do
        if matches(rule.args[1]) then
            return rule.name == "allow"
        end
    end
end

local function by_subrequest(uri)
    local status = ngx.location.capture(uri).status
    if status >= 200 and status < 300 then
        return true
    elseif status == 401 or status == 403 then
        return false, status
    end
    log.err("auth request unexpected status: ", status)
    return false, 500
end

-- The handler of the access phase. rules: allow and deny directives; auth: an auth_request directive, lua: the
-- handler of access_by_lua (each may be nil); any: `satisfy any`. lua_first: access_by_lua_no_postpone.
function _M.handler(rules, auth, lua, any, lua_first)
    if #rules == 0 and not auth then
        return lua
    end
    return function()
        if lua_first and lua then
            lua()
        end
        local allowed, status = by_address(rules), 403
        if allowed == false and not any then
            log.err("access forbidden by rule")
            return ngx.exit(403)
        end
        if auth and not (any and allowed) then
            allowed, status = by_subrequest(auth.args[1])
            if not allowed and not any then
                return ngx.exit(status)
            end
        end
        if lua and not lua_first and not (any and allowed) then
            lua()
        end
        if any and allowed == false then
            log.err("access forbidden by rule")
            return ngx.exit(status or 403)
        end
    end
end

return _M
