-- Owns the gateway's own place among the servers of an nginx.conf: a location with the directive `pygw_gateway` is
-- where routes are matched. Must never do a phase's work: apisix.application does.
local application = require "apisix.application"

local ipairs, pairs = ipairs, pairs

local PHASES = { "access", "balancer", "header_filter", "body_filter", "log" }
local OF_SERVER = { "ssl_client_hello", "ssl_certificate" }

local _M = {}

-- Let a location, and the server around it, be the gateway's.
function _M.take(location, server)
    for _, phase in ipairs(PHASES) do
        location[phase] = application[phase]
    end
    location.content, location.proxy = nil, application.proxy
    for _, phase in ipairs(OF_SERVER) do
        server[phase] = application[phase]
    end
end

-- Give an application's table what the gateway says for all servers.
function _M.complete(app)
    for name, value in pairs(application.variables) do
        app.variables[name] = app.variables[name] or value
    end
    for name, value in pairs(application.settings) do
        if app.settings[name] == nil then
            app.settings[name] = value
        end
    end
    return app
end

return _M
