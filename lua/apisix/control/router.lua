-- Owns the Control API's server: which of the plugins' paths, the discoveries' and the gateway's own is asked for.
-- Must never serve a route of the gateway. Mirrors apisix.control.router.
local core = require "apisix.core"
local discovery = require "apisix.discovery.init"
local plugin = require "apisix.plugin"
local radixtree = require "resty.radixtree"
local router = require "apisix.utils.router"
local v1 = require "apisix.control.v1"

local ipairs = ipairs
local ngx = ngx
local pairs = pairs
local pcall = pcall
local str_sub = string.sub
local type = type

local ROOT = "/v1"

local _M = {}

local function handler_of(route)
    return function()
        local code, body = route.handler()
        if not code and not body then
            return
        end
        if type(body) == "table" and ngx.header["Content-Type"] == nil then
            core.response.set_header("Content-Type", "application/json")
        end
        core.response.exit(code, body)
    end
end

-- Append routes ({methods, uris, handler}); path_of(uri) is where each of their paths is served.
local function append(routes, added, path_of)
    for _, route in ipairs(added or {}) do
        local paths = {}
        for i, uri in ipairs(route.uris) do
            paths[i] = path_of(uri)
        end
        routes[#routes + 1] = { methods = route.methods, paths = paths, handler = handler_of(route) }
    end
end

-- The same with what control_api() of that owner returns. One that fails costs the others nothing.
local function append_of(routes, owner, object, path_of)
    if not object.control_api then
        return
    end
    local before = #routes
    local ok, err = pcall(function()
        append(routes, object.control_api(), path_of)
    end)
    if not ok then
        for i = #routes, before + 1, -1 do
            routes[i] = nil
        end
        core.log.error("the Control API of ", owner, " is left out: ", err)
    end
end

local function as_it_is(uri)
    return uri
end

local function below_root(uri)
    return ROOT .. uri
end

-- A discovery's own paths and its dump are below its name, unless they say where they are.
local function add_discovery(routes, name, module)
    local function path_of(uri)
        if core.string.has_prefix(uri, ROOT .. "/") then
            return uri
        end
        return ROOT .. "/discovery/" .. name .. (str_sub(uri, 1, 1) == "/" and "" or "/") .. uri
    end
    append_of(routes, "discovery " .. name, module, path_of)
    if module.dump_data then
        append(routes, { { methods = { "GET" }, uris = { "/dump" }, handler = function()
            return 200, module.dump_data()
        end } }, path_of)
    end
end

local function build_extra()
    local routes = {}
    for _, object in ipairs(plugin.plugins) do
        append_of(routes, "plugin " .. object.name, object, as_it_is)
    end
    for name, module in pairs(discovery.discovery or {}) do
        add_discovery(routes, name, module)
    end
    local kind = core.table.try_read_attr(core.config.local_conf(), "apisix", "control", "router")
    return (kind == "radixtree_uri_with_parameter" and radixtree or router).new(routes)
end

local function build_own()
    local routes = {}
    append(routes, v1, below_root)
    return router.new(routes)
end

local own, extra, built_from

-- Let the API of that path and the request's method answer. Returns whether there is one.
function _M.match(uri)
    if built_from ~= plugin.load_times then
        own = own or build_own()
        extra, built_from = build_extra(), plugin.load_times
    end
    local opts = { method = ngx.req.get_method() }
    return extra:dispatch(uri, opts) or own:dispatch(uri, opts)
end

-- The content of the Control API's server.
function _M.serve()
    if not _M.match(ngx.var.uri) then
        return ngx.exit(404)
    end
end

return _M
