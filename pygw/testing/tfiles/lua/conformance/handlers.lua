-- Owns the handlers of a location: what of the directives around it and of its own runs in which phase.
local access = require "conformance.access"
local access_log = require "conformance.access_log"
local echo = require "conformance.echo"
local enter = require "conformance.enter"
local filters = require "conformance.filters"
local proxy = require "conformance.proxy"
local static = require "conformance.static"

local insert = table.insert
local ipairs, tonumber = ipairs, tonumber
local match = string.match

local _M = {}

local GIF = "GIF89a\1\0\1\0\128\1\0\0\0\0\255\255\255!\249\4\1\0\0\1\0,\0\0\0\0\1\0\1\0\0\2\2L\1\0;"

local function handler_of(conf, tag)
    local directive = conf.first(tag)
    return directive and directive.handler
end

local function is_on(conf, name)
    local directive = conf.first(name)
    return directive ~= nil and directive.args[1] == "on"
end

-- The handler of a *_by_lua directive in conf, or nil. The body is read first where that is asked for.
local function lua_of(conf, tag)
    local directive = conf.first(tag)
    local handler = directive and directive.handler
    if handler and is_on(conf, "lua_need_request_body") then
        return function()
            ngx.req.read_body()
            return handler()
        end
    end
    return handler
end

-- One function that runs all of a list, up to one that returns something; nil for none.
local function sequence(steps)
    if #steps <= 1 then
        return steps[1]
    end
    return function()
        for _, step in ipairs(steps) do
            local result = step()
            if result ~= nil then
                return result
            end
        end
    end
end

local function rewrite_of(conf)
    local lua, first = lua_of(conf, "rewrite_by_lua"), is_on(conf, "rewrite_by_lua_no_postpone")
    if #conf.script == 0 then
        return lua
    end
    return function()
        if first and lua then
            lua()
        end
        enter.reset()
        conf.script:run_and_jump()
        local entered = enter.entered()
        local after = lua
        if entered then
            after = lua_of(entered, "rewrite_by_lua")
        end
        if after and not first then
            return after()
        end
    end
end

local function content_of(conf)
    local directive = conf.own("content")
    if not directive then
        if conf.kind == "if" and conf.parent.kind ~= "server" then
            return content_of(conf.parent)
        end
        return static.content(conf)
    elseif directive.name == "echo" then
        return echo.content(conf.echo)
    elseif directive.name == "empty_gif" then
        return function()
            ngx.header["Content-Type"] = "image/gif"
            ngx.header["Content-Length"] = #GIF
            return ngx.print(GIF)
        end
    elseif directive.name ~= "proxy_pass" then
        return lua_of(conf, "content_by_lua")
    end
    return nil, proxy.handlers(conf, directive)
end

-- Functions of more_* directives: those of the levels around come first.
local function more_of(conf, steps)
    if conf.parent then
        more_of(conf.parent, steps)
    end
    for _, name in ipairs({ "more_set_headers", "more_clear_headers" }) do
        for _, step in ipairs(filters.more(conf.directives[name] or {})) do
            steps[#steps + 1] = step
        end
    end
    return steps
end

local function header_filter_of(conf)
    local steps = more_of(conf, {})
    steps[#steps + 1] = conf.first("header_filter_by_lua") and conf.first("header_filter_by_lua").handler
    if #conf.all("echo_before_body") + #conf.all("echo_after_body") > 0 then
        steps[#steps + 1] = function()
            ngx.header["Content-Length"] = nil -- echo's body filter changes it
        end
    end
    local expires = conf.first("expires")
    steps[#steps + 1] = expires and filters.expires(expires)
    for _, step in ipairs(filters.added(conf.all("add_header"))) do
        steps[#steps + 1] = step
    end
    return sequence(steps)
end

local function body_filter_of(conf)
    local lua = conf.first("body_filter_by_lua")
    local steps = { lua and lua.handler }
    local before, after = conf.all("echo_before_body"), conf.all("echo_after_body")
    if #before + #after > 0 then
        steps[#steps + 1] = echo.body_filter(before, after)
    end
    return sequence(steps)
end

local function access_of(conf)
    local rules = {}
    for _, name in ipairs({ "allow", "deny" }) do
        for _, directive in ipairs(conf.all(name)) do
            rules[#rules + 1] = directive
        end
    end
    local satisfy = conf.first("satisfy")
    return access.handler(rules, conf.first("auth_request"), lua_of(conf, "access_by_lua"),
        satisfy and satisfy.args[1] == "any", is_on(conf, "access_by_lua_no_postpone"))
end

local function precontent_of(conf)
    local steps = {}
    steps[1] = conf.own("try_files") and static.try_files(conf, conf.own("try_files"))
    local lua = lua_of(conf, "precontent_by_lua")
    if lua then
        insert(steps, is_on(conf, "precontent_by_lua_no_postpone") and 1 or #steps + 1, lua)
    end
    return sequence(steps)
end

local function error_pages_of(conf)
    local pages
    for _, directive in ipairs(conf.all("error_page")) do
        pages = pages or {}
        local args = directive.args
        local uri, last, status = args[#args], #args - 1, nil
        local equals = match(args[last], "^=(%d*)$")
        if equals then
            last, status = last - 1, tonumber(equals) or 0
        end
        for i = 1, last do
            pages[tonumber(args[i])] = status and { uri = uri, status = status } or uri
        end
    end
    return pages
end

-- All of a location's handlers by their phase, and what goes with them.
function _M.of(conf)
    local content, balancer, proxied, scheme = content_of(conf)
    if proxied then
        proxied.scheme = scheme
    end
    return {
        rewrite = rewrite_of(conf), access = access_of(conf), precontent = precontent_of(conf), content = content,
        balancer = balancer, proxy = proxied, header_filter = header_filter_of(conf),
        body_filter = body_filter_of(conf), log = access_log.handler(conf, handler_of(conf, "log_by_lua")),
        proxy_ssl_certificate = handler_of(conf, "proxy_ssl_certificate_by_lua"),
        proxy_ssl_verify = handler_of(conf, "proxy_ssl_verify_by_lua"), error_pages = error_pages_of(conf),
    }
end

_M.lua_of, _M.handler_of = lua_of, handler_of

return _M
