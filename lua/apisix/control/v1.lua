-- Owns what the control API tells of health checks: each item with some, its nodes and their state. Serving it over
-- HTTP is another's. Mirrors these functions of apisix.control.v1.
local core = require "apisix.core"
local healthcheck = require "resty.healthcheck"
local manager = require "apisix.healthcheck_manager"
local router = require "apisix.router"
local service = require "apisix.http.service"
local upstream = require "apisix.upstream"

local ipairs = ipairs

local DICT_NAME = "upstream-healthcheck"

-- In the order in which they are told. Each returns an array of items.
local sources = { router.http_routes, service.services, upstream.upstreams }

local _M = {}

local function checks_of(value)
    return value.checks or value.upstream and value.upstream.checks
end

local function describe(item, checks)
    local nodes = healthcheck.get_target_list(manager.get_healthchecker_name(item.value), DICT_NAME)
    return {
        name = item.key,
        nodes = nodes,
        type = checks.active and checks.active.type or checks.passive and checks.passive.type,
    }
end

-- What others (prometheus) ask for: an array of {name (the item's key), type, nodes}, these as
-- resty.healthcheck's get_target_list tells them.
function _M.get_health_checkers()
    local infos = {}
    for _, source in ipairs(sources) do
        for _, item in core.config_util.iterate_values(source() or {}) do
            local checks = checks_of(item.value)
            if checks then
                infos[#infos + 1] = describe(item, checks)
            end
        end
    end
    return infos
end

return _M
