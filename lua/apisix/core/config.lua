-- Owns the choice of where configuration comes from: returns the module that provides it, with its name
-- in `type` ("etcd" for both back ends of the store, "yaml" or "json" for a file).
local config_local = require "apisix.core.config_local"

local error = error
local require = require

local MODULES = {
    etcd = "apisix.core.config_etcd",
    yaml = "apisix.core.config_yaml",
    json = "apisix.core.config_yaml",
}

local conf, err = config_local.local_conf()
if not conf then
    error("failed to read config.yaml: " .. err)
end

local provider = conf.deployment and conf.deployment.config_provider or "etcd"
if not MODULES[provider] then
    error("deployment: unknown config_provider '" .. provider .. "'")
end

local config = require(MODULES[provider])
config.type = provider
if provider ~= "etcd" then
    config.file_type = provider
end
return config
