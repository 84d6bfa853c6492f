-- Owns the access phase around access_by_lua: allow, deny, auth_request, satisfy.
local current = require "server.current"
local log = require "server.log"

local ipairs, setmetatable = ipairs, setmetatable

local _M = {}

local denied = setmetatable({}, { __mode = "k" }) -- requests that are denied unless access_by_lua says otherwise

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
    local status = ngx.location.capture(uri, { share_all_vars = true }).status
    if status >= 200 and status < 300 then
        return true
    elseif status == 401 or status == 403 then
        return false, status
    end
    log.err("auth request unexpected status: ", status)
    return false, 500
end

-- In a location with `satisfy any`, leaving access_by_lua with ngx.exit(ngx.DECLINED) has no say.
local function watch_exit()
    local exit = ngx.exit
    ngx.exit = function(code)
        local r = current.request
        local refused = code == ngx.DECLINED or code == 403
        if refused and r and r.phase == "access" and denied[r] then
            denied[r] = nil
            log.err("access forbidden by rule")
            return exit(403)
        end
        return exit(code)
    end
end

local function satisfy_any(rules, auth, lua)
    watch_exit()
    return function()
        local r = current.request
        local allowed = by_address(rules)
        if allowed or auth and by_subrequest(auth.args[1]) then
            return
        end
        if not lua then
            log.err("access forbidden by rule")
            return ngx.exit(403)
        end
        denied[r] = true
        lua()
        denied[r] = nil
    end
end

local function satisfy_all(rules, auth, lua, lua_first)
    return function()
        if lua_first and lua then
            lua()
        end
        if by_address(rules) == false then
            log.err("access forbidden by rule")
            return ngx.exit(403)
        end
        local allowed, status = true, nil
        if auth then
            allowed, status = by_subrequest(auth.args[1])
        end
        if not allowed then
            return ngx.exit(status)
        end
        if lua and not lua_first then
            return lua()
        end
    end
end

-- The handler of the access phase. rules: allow and deny directives; auth: an auth_request directive, lua: the
-- handler of access_by_lua (each may be nil); any: `satisfy any`. lua_first: access_by_lua_no_postpone.
function _M.handler(rules, auth, lua, any, lua_first)
    if #rules == 0 and not auth then
        return lua
    elseif any then
        return satisfy_any(rules, auth, lua)
    end
    return satisfy_all(rules, auth, lua, lua_first)
end

return _M
