-- Owns the application that the server runs: APISIX's functions under the server's names for the phases.
local apisix = require "apisix"
local nginx = require "apisix.http.variables"

local _M = {
    variables = nginx.variables, proxy = nginx.proxy,
    settings = { delay_client_max_body_check = true }, -- plugins may change the limit
}

-- The phases look the functions up at each call, so that a plugin may replace
-- one while the worker runs.
function _M.init()
    return apisix.http_init()
end

function _M.init_worker()
    return apisix.http_init_worker()
end

function _M.ssl_client_hello()
    return apisix.ssl_client_hello_phase()
end

function _M.ssl_certificate()
    return apisix.ssl_phase()
end

function _M.access()
    return apisix.http_access_phase()
end

function _M.balancer()
    return apisix.http_balancer_phase()
end

function _M.header_filter()
    return apisix.http_header_filter_phase()
end

function _M.body_filter()
    return apisix.http_body_filter_phase()
end

function _M.log()
    return apisix.http_log_phase()
end

function _M.exit_worker()
    return apisix.http_exit_worker()
end

return require("apisix.http.sites").beside(_M)
