-- Owns the making of an application from a tree of nginx directives: handlers, settings and locations, with all
-- that they inherit, in the form of the application contract.
local access = require "conformance.access"
local code = require "conformance.code"
local confs = require "conformance.conf"
local echo = require "conformance.echo"
local enter = require "conformance.enter"
local filters = require "conformance.filters"
local log = require "server.log"
local options = require "conformance.options"
local proxy = require "conformance.proxy"
local reader = require "conformance.reader"
local script = require "conformance.script"
local static = require "conformance.static"

local error, ipairs, pairs, tonumber, tostring = error, ipairs, pairs, tonumber, tostring
local gsub, match, sub = string.gsub, string.match, string.sub
local traceback, xpcall = debug.traceback, xpcall

local MATCH = { ["="] = "exact", ["~"] = "regex", ["~*"] = "regex_i", ["^~"] = "prefer", [""] = "prefix" }
local GIF = "GIF89a\1\0\1\0\128\1\0\0\0\0\255\255\255!\249\4\1\0\0\1\0,\0\0\0\0\1\0\1\0\0\2\2L\1\0;"

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

-- One function that runs all of a list; nil for none.
local function sequence(steps)
    if #steps <= 1 then
        return steps[1]
    end
    return function()
        for _, step in ipairs(steps) do
            step()
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
        table.insert(steps, is_on(conf, "precontent_by_lua_no_postpone") and 1 or #steps + 1, lua)
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

local function settings_of(conf)
    local all = conf.parent and settings_of(conf.parent) or {}
    for name, value in pairs(options.of(conf.directives)) do
        all[name] = value
    end
    return all
end

local function handler_of(conf, tag)
    local directive = conf.first(tag)
    return directive and directive.handler
end

local locations_of

local function location_of(conf)
    local content, balancer, proxied, scheme = content_of(conf)
    local default_type = conf.first("default_type")
    if proxied then
        proxied.scheme = scheme
    end
    local settings = settings_of(conf)
    if conf.own("content") and conf.own("content").name == "echo" then
        settings.http10_buffering = false -- that is of Lua's output
    end
    return {
        path = conf.path, match = conf.match, internal = conf.own("internal") and true or nil,
        rewrite = rewrite_of(conf), access = access_of(conf), precontent = precontent_of(conf), content = content,
        balancer = balancer, proxy = proxied, header_filter = header_filter_of(conf),
        body_filter = body_filter_of(conf), log = handler_of(conf, "log_by_lua"),
        error_pages = error_pages_of(conf), default_type = default_type and default_type.args[1],
        proxy_ssl_certificate = handler_of(conf, "proxy_ssl_certificate_by_lua"),
        proxy_ssl_verify = handler_of(conf, "proxy_ssl_verify_by_lua"),
        settings = settings, locations = #conf.locations > 0 and locations_of(conf) or nil,
    }
end

function locations_of(conf)
    local list = {}
    for i, inner in ipairs(conf.locations) do
        inner.match = sub(inner.path, 1, 1) == "@" and "named" or MATCH[inner.modifier]
        list[i] = location_of(inner)
    end
    return list
end

local SERVER_PHASES = {
    "ssl_certificate", "ssl_client_hello", "ssl_session_fetch", "ssl_session_store",
}

local function server_rewrite_of(conf)
    local lua = lua_of(conf, "server_rewrite_by_lua")
    if #conf.script == 0 then
        return lua
    end
    return function()
        if lua then
            lua()
        end
        conf.script:run()
    end
end

local function has_root(conf)
    for _, inner in ipairs(conf.locations) do
        if inner.path == "/" and (inner.match == "prefix" or inner.match == "prefer") then
            return true
        end
    end
    return false
end

local function listeners_of(conf, numbers)
    local listeners = {}
    for _, directive in ipairs(conf.directives.listen or {}) do
        listeners[#listeners + 1] = numbers[directive.args[1]]
    end
    return listeners
end

local function server_of(conf, numbers)
    local names = {}
    for _, directive in ipairs(conf.directives.server_name or {}) do
        for _, name in ipairs(directive.args) do
            names[#names + 1] = name
        end
    end
    local locations = locations_of(conf)
    if not has_root(conf) then -- what no location matches is the server's own, whose content are files
        local rest = confs.new("location", conf)
        rest.path, rest.match = "/", "prefix"
        locations[#locations + 1] = location_of(rest)
    end
    for _, inner in ipairs(conf.ifs) do
        inner.match = "named"
        locations[#locations + 1] = location_of(inner)
    end
    local server = {
        names = names, listeners = listeners_of(conf, numbers), locations = locations,
        server_rewrite = server_rewrite_of(conf), settings = settings_of(conf),
    }
    for _, phase in ipairs(SERVER_PHASES) do
        server[phase] = handler_of(conf, phase .. "_by_lua")
    end
    return server
end

-- Run a handler of start or exit: what it raises is logged as nginx logs it.
local function guarded(conf, tag, fatal)
    local fn = handler_of(conf, tag)
    if not fn then
        return nil
    end
    local handler_name = conf.first(tag).name
    return function()
        local ok, err = xpcall(fn, function(err)
            return tostring(err) .. "\n" .. traceback("", 2):gsub("^\n", "")
        end)
        if not ok then
            log.err((gsub(handler_name, "_block$", "")), " error: ", err)
            if fatal then
                error(err, 0)
            end
        end
    end
end

local function paths(directive, path)
    if not directive then
        return path
    end
    local given = directive.args[1]:gsub("%${?prefix}?", code.prefix)
    return (given:gsub(";;", ";" .. path .. ";"))
end

-- Whether some level says `server_tokens off`: the server's name is the worker's.
local function hides_version(conf)
    local own = conf.own("server_tokens")
    if own and own.args[1] == "off" then
        return true
    end
    for _, inner in ipairs(conf.locations) do
        if hides_version(inner) then
            return true
        end
    end
    return false
end

-- The application of a tree of directives. prefix: nginx's, with a slash at its end; listeners: the number of
-- the listener of each `listen` directive's first argument.
return function(tree, prefix, listeners)
    code.prefix = prefix
    local main = reader.read(tree)
    local http = main.http
    package.path = paths(http.own("lua_package_path"), package.path)
    package.cpath = paths(http.own("lua_package_cpath"), package.cpath)
    local servers, worker = {}, settings_of(http)
    if not worker.resolver then
        worker.resolver = "" -- nginx has none unless told
    end
    worker.client_body_temp_path = worker.client_body_temp_path or prefix .. "client_body_temp"
    worker.client_body_temp_path = worker.client_body_temp_path or prefix .. "client_body_temp"
    worker.underscores_in_headers = worker.underscores_in_headers or false
    worker.bare_line_feeds = true
    worker.server_tokens = hides_version(http) and "nginx" or "nginx/1.27.1"
    for i, server in ipairs(http.locations) do
        servers[i] = server_of(server, listeners)
    end
    return {
        init = guarded(http, "init_by_lua", true), init_worker = guarded(http, "init_worker_by_lua"),
        exit_worker = guarded(http, "exit_worker_by_lua"), variables = script.declared, servers = servers,
        settings = worker,
    }
end
