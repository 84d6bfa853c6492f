-- Owns the finding of an item of the configuration by its key, as it is now. Mirrors apisix.resource.
local core = require "apisix.core"

local match = string.match

local KINDS = {
    consumer_groups = true, consumers = true, global_rules = true, plugin_configs = true,
    routes = true, services = true, stream_routes = true, upstreams = true,
}

local _M = {}

-- path: a key such as "/apisix/routes/1" or "/routes/1", maybe with "#…", which names a part. Returns the item
-- ({key, value, modifiedIndex}), or nil, which is logged.
function _M.fetch_latest_conf(path)
    path = core.config_util.parse_path(path)
    local kind, id = match(path, "([^/]+)/([^/]+)$")
    if not kind then
        core.log.error("invalid resource path: ", path)
        return nil
    elseif not KINDS[kind] then
        core.log.error("unsupported resource type: ", kind)
        return nil
    end
    local items = core.config.fetch_created_obj("/" .. kind)
    if not items then
        core.log.error("failed to fetch configuration for type: /", kind)
        return nil
    end
    local item = items:get(id)
    if not item or not item.value then
        core.log.warn("resource not found: ", id, " in /", kind)
        return nil
    end
    return item
end

-- The upstream that an item holds, or is.
local function upstream_of(path)
    local item = _M.fetch_latest_conf(path)
    return item and (item.value.upstream or item.value)
end

-- How often the nodes of the upstream at path have changed by themselves, or nil.
function _M.get_nodes_ver(path)
    local upstream = upstream_of(path)
    return upstream and upstream._nodes_ver
end

function _M.set_nodes_ver_and_nodes(path, nodes_ver, nodes)
    local upstream = upstream_of(path)
    if upstream then
        upstream._nodes_ver, upstream.nodes = nodes_ver, nodes
    end
end

return _M
