-- Owns the making of an application from a tree of nginx directives: servers, locations and settings, with all
-- that they inherit, in the form of the application contract.
local code = require "conformance.code"
local confs = require "conformance.conf"
local handlers = require "conformance.handlers"
local log = require "server.log"
local options = require "conformance.options"
local reader = require "conformance.reader"
local script = require "conformance.script"

local error, ipairs, pairs, tostring = error, ipairs, pairs, tostring
local gsub, sub = string.gsub, string.sub
local traceback, xpcall = debug.traceback, xpcall
local handler_of, lua_of = handlers.handler_of, handlers.lua_of

local MATCH = { ["="] = "exact", ["~"] = "regex", ["~*"] = "regex_i", ["^~"] = "prefer", [""] = "prefix" }

local function settings_of(conf)
    local all = conf.parent and settings_of(conf.parent) or {}
    for name, value in pairs(options.of(conf.directives)) do
        all[name] = value
    end
    return all
end

local locations_of

local function location_of(conf)
    local location = handlers.of(conf)
    local default_type = conf.first("default_type")
    local settings = settings_of(conf)
    if conf.own("content") and conf.own("content").name == "echo" then
        settings.http10_buffering = false -- that is of Lua's output
    end
    location.path, location.match = conf.path, conf.match
    location.internal = conf.own("internal") and true or nil
    location.default_type, location.settings = default_type and default_type.args[1], settings
    location.locations = #conf.locations > 0 and locations_of(conf) or nil
    return location
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
    for i, inner in ipairs(conf.locations) do
        if inner.own("pygw_gateway") then
            require("conformance.gateway").take(locations[i], server)
        end
    end
    return server
end

-- Whether pygw's own gateway is among the servers.
local function has_gateway(http)
    for _, server in ipairs(http.locations) do
        for _, location in ipairs(server.locations) do
            if location.own("pygw_gateway") then
                return true
            end
        end
    end
    return false
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

-- The settings of the worker where nginx.conf is all there is.
local function nginx_settings(http, prefix)
    local worker = settings_of(http)
    if not worker.resolver then
        worker.resolver = "" -- nginx has none unless told
    end
    worker.client_body_temp_path = worker.client_body_temp_path or prefix .. "client_body_temp"
    worker.underscores_in_headers = worker.underscores_in_headers or false
    worker.bare_line_feeds = true
    worker.server_tokens = hides_version(http) and "nginx" or "nginx/1.27.1"
    return worker
end

-- The application of a tree of directives. prefix: nginx's, with a slash at its end; listeners: the number of
-- the listener of each `listen` directive's first argument.
return function(tree, prefix, listeners)
    code.prefix = prefix
    local main = reader.read(tree)
    local http = main.http
    package.path = paths(http.own("lua_package_path"), package.path)
    package.cpath = paths(http.own("lua_package_cpath"), package.cpath)
    local servers = {}
    for i, server in ipairs(http.locations) do
        servers[i] = server_of(server, listeners)
    end
    local app = {
        init = guarded(http, "init_by_lua", true), init_worker = guarded(http, "init_worker_by_lua"),
        exit_worker = guarded(http, "exit_worker_by_lua"), variables = script.declared, servers = servers,
    }
    if has_gateway(http) then
        app.settings = settings_of(http)
        return require("conformance.gateway").complete(app)
    end
    app.settings = nginx_settings(http, prefix)
    return app
end
