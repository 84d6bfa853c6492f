-- Owns the servers that have addresses of their own beside the gateway's: the metrics
-- (plugin_attr.prometheus.export_addr), the Control API (apisix.control), the status (apisix.status). Must never answer
-- for a route.
local identity = require "server.identity"

local ipairs = ipairs
local pairs = pairs
local require = require

-- site of a listener -> what makes the response there. Modules are loaded by those who are asked.
local CONTENT = {
    metrics = function()
        return require("apisix.plugins.prometheus.exporter").export_metrics()
    end,
    control = function()
        return require("apisix.control.router").serve()
    end,
    status = function()
        return require("apisix.control.status").serve()
    end,
}
-- What stays the application's own when it gets servers; the rest is the gateway's.
local SHARED = {
    init = true, init_worker = true, exit_worker = true, variables = true, settings = true, default_type = true,
    proxy = true,
}

local _M = {}

-- The servers of the sites there are listeners for, and the numbers of the gateway's own listeners.
local function split()
    local gateway, servers, by_site = {}, {}, {}
    for number, listener in ipairs(identity.listeners) do
        local content = CONTENT[listener.site]
        local numbers = gateway
        if content then
            local server = by_site[listener.site]
            if not server then
                server = { listeners = {}, content = content }
                by_site[listener.site], servers[#servers + 1] = server, server
            end
            numbers = server.listeners
        end
        numbers[#numbers + 1] = number
    end
    return servers, gateway
end

-- The application with these servers beside it, where there are listeners for any; else the application as it is.
function _M.beside(app)
    local servers, listeners = split()
    if not servers[1] then
        return app
    end
    local gateway = { listeners = listeners }
    local whole = { servers = { gateway } }
    for key, value in pairs(app) do
        local owner = SHARED[key] and whole or gateway
        owner[key] = value
    end
    for _, server in ipairs(servers) do
        whole.servers[#whole.servers + 1] = server
    end
    return whole
end

return _M
