-- Owns the table of service discoveries: those that `discovery` in config.yaml names, each a module
-- apisix.discovery.NAME with nodes(service_name, discovery_args) and init_worker(). Mirrors apisix.discovery.init.
local config_local = require "apisix.core.config_local"
local log = require "apisix.core.log"

local find = string.find
local pairs = pairs
local pcall = pcall
local require = require

local configured = config_local.local_conf().discovery

-- name -> module; nil when none is configured.
local discovery = configured and {}

local function load(name)
    local path = "apisix.discovery." .. name
    local ok, module = pcall(require, path)
    if ok then
        discovery[name] = module
    elseif find(module, "module '" .. path .. "' not found", 1, true) then
        log.error("discovery ", name, " is not here: there is no Lua module ", path,
            "; apisix.extra_lua_path can add one")
    else
        log.error("failed to load discovery ", name, ": ", module)
    end
end

for name in pairs(configured or {}) do
    load(name)
end

local _M = { version = 0.1, discovery = discovery }

-- Once per worker.
function _M.init_worker()
    for name, module in pairs(discovery or {}) do
        local ok, err = pcall(module.init_worker)
        if not ok then
            log.error("failed to start discovery ", name, ": ", err)
            discovery[name] = nil
        end
    end
end

return _M
