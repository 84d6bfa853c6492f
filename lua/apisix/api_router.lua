-- Owns the routes of the APIs that plugins offer (their api() functions), reached through the plugin
-- public-api. Mirrors apisix.api_router.
local core = require "apisix.core"
local plugin = require "apisix.plugin"
local router = require "apisix.utils.router"

local ipairs = ipairs
local ngx = ngx
local type = type

local _M = {}

local function handler_of(route)
    return function(api_ctx)
        local code, body = route.handler(api_ctx)
        if code or body then
            if type(body) == "table" and ngx.header["Content-Type"] == nil then
                core.response.set_header("Content-Type", "application/json")
            end
            core.response.exit(code, body)
        end
    end
end

local function build()
    local routes = {}
    for _, object in ipairs(plugin.plugins) do
        for _, route in ipairs(object.api and object.api() or {}) do
            if route.uri == nil then
                core.log.error("got nil uri in api route of plugin ", object.name)
            else
                core.table.insert(routes, {
                    methods = route.methods, paths = route.uri, handler = handler_of(route),
                })
            end
        end
    end
    return router.new(routes)
end

local built, built_from

-- Let the API that the request's path and method name answer it. Returns whether there is one.
function _M.match(api_ctx)
    if built_from ~= plugin.load_times then
        built, built_from = build(), plugin.load_times
    end
    return built:dispatch(api_ctx.var.uri, { method = api_ctx.var.request_method }, api_ctx)
end

return _M
