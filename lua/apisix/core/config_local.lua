-- Owns config.yaml as Lua sees it: read once through the bridge, then kept. Must never change it.
-- Mirrors apisix.core.config_local.
local bridge = require "server.bridge"
local cjson = require "cjson.safe"

local pcall = pcall

local _M = {}

local config

function _M.clear_cache()
    config = nil
end

-- The merged configuration of config.yaml and the defaults. force: do not use the copy kept here.
-- Returns a table that callers must not change, or nil, err.
function _M.local_conf(force)
    if config and not force then
        return config
    end
    local ok, text = pcall(bridge.call.local_conf)
    if not ok then
        return nil, text
    end
    local read, err = cjson.decode(text)
    if not read then
        return nil, "config.yaml: " .. err
    end
    config = read
    return config
end

return _M
