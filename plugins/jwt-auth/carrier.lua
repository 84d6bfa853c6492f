-- Owns where a request carries its token, and how the upstream is kept from it.
local core = require "apisix.core"

local concat, gmatch, match, sub = table.concat, string.gmatch, string.match, string.sub

local _M = {}

-- The cookies of a Cookie header without one of that name; nil when none is left.
local function without(cookies, name)
    local rest, n = {}, 0
    for cookie in gmatch(cookies, "[^;]+") do
        cookie = match(cookie, "^%s*(.-)%s*$")
        if match(cookie, "^[^=]*") ~= name then
            n = n + 1
            rest[n] = cookie
        end
    end
    return n > 0 and concat(rest, "; ") or nil
end

local function hide(conf, ctx, where)
    if where == "header" then
        core.request.set_header(ctx, conf.header, nil)
    elseif where == "query" then
        local args = core.request.get_uri_args(ctx)
        args[conf.query] = nil
        core.request.set_uri_args(ctx, args)
    else
        core.request.set_header(ctx, "Cookie", without(core.request.header(ctx, "Cookie"), conf.cookie))
    end
end

-- The token of the request: the header's, else the query's, else the cookie's; nil when there is none. With
-- hide_credentials the request loses it.
function _M.take(conf, ctx)
    local where, token = "header", core.request.header(ctx, conf.header)
    if token then
        local scheme = sub(token, 1, 7)
        if scheme == "Bearer " or scheme == "bearer " then
            token = sub(token, 8)
        end
    else
        where, token = "query", core.request.get_uri_args(ctx)[conf.query]
    end
    if not token then
        where, token = "cookie", ctx.var["cookie_" .. conf.cookie]
    end
    if token and conf.hide_credentials then
        hide(conf, ctx, where)
    end
    return token
end

return _M
