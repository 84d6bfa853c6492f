-- Owns upstreams that a plugin makes of a part of its configuration, which a resource path such as
-- "/routes/1#plugins['ai-proxy-multi'].instances[0]" names. Part of apisix.healthcheck_manager.
local core = require "apisix.core"

local find = string.find
local gmatch = string.gmatch
local match = string.match
local pcall = pcall
local require = require
local tonumber = tonumber
local type = type

local _M = {}

function _M.is_path(path)
    return find(path, "#", 1, true) ~= nil
end

-- The part of value that a path of names and numbers (from 0) leads to: a.b, a['b-c'], a[0].
local function part_of(value, path)
    for step in gmatch(path, "[^%.%[%]'\"]+") do
        if type(value) ~= "table" then
            return nil
        end
        local index = tonumber(step)
        value = value[index and index + 1 or step]
    end
    return value
end

-- The upstream that the plugin makes of its part of item, or nil, which is logged.
function _M.upstream_of(path, item)
    local _, part = core.config_util.parse_path(path)
    local name = match(part, "^plugins%['([^']+)'%]") or match(part, "^plugins%.([^%.%[]+)")
    if not name then
        core.log.error("no plugin in the resource path: ", path)
        return nil
    end
    local ok, upstream, err = pcall(require("apisix.plugins." .. name).construct_upstream, part_of(item.value, part))
    if not ok or not upstream then
        core.log.error("unable to construct upstream for plugin: ", name, ", resource path: ", path,
            ", error: ", ok and err or upstream)
        return nil
    end
    upstream.resource_key = path
    return upstream
end

return _M
