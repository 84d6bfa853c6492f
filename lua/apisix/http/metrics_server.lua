-- Owns the server that shows the metrics on an address of their own (plugin_attr.prometheus.export_addr). Must never
-- answer for a route.
local identity = require "server.identity"

local ipairs = ipairs
local pairs = pairs
local require = require

local SITE = "metrics"
-- What stays the application's own when it gets servers; the rest is the gateway's.
local SHARED = {
    init = true, init_worker = true, exit_worker = true, variables = true, settings = true, default_type = true,
    proxy = true,
}

local _M = {}

-- The numbers of the gateway's listeners, and of those of the metrics.
local function numbers()
    local gateway, metrics = {}, {}
    for number, listener in ipairs(identity.listeners) do
        local list = listener.site == SITE and metrics or gateway
        list[#list + 1] = number
    end
    return gateway, metrics
end

local function export()
    return require("apisix.plugins.prometheus.exporter").export_metrics()
end

-- The application with this server beside it, where there are listeners for that; else the application as it is.
function _M.beside(app)
    local gateway_listeners, metrics_listeners = numbers()
    if #metrics_listeners == 0 then
        return app
    end
    local whole, gateway = {}, { listeners = gateway_listeners }
    for key, value in pairs(app) do
        local owner = SHARED[key] and whole or gateway
        owner[key] = value
    end
    whole.servers = { gateway, { listeners = metrics_listeners, content = export } }
    return whole
end

return _M
