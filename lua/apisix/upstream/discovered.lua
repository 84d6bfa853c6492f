-- Owns the nodes of an upstream that names a service: they are what its service discovery says now. Must never pick
-- one.
local core = require "apisix.core"
local registry = require "apisix.discovery.init"

local ipairs = ipairs

local _M = {}

local FIELDS = { "host", "port", "weight", "priority" }

local function is_same_node(a, b)
    for _, field in ipairs(FIELDS) do
        if a[field] ~= b[field] then
            return false
        end
    end
    return core.table.deep_eq(a.metadata, b.metadata)
end

local function by_host(a, b)
    if a.host ~= b.host then
        return a.host < b.host
    end
    return (a.port or 0) < (b.port or 0)
end

-- Is it the same set of nodes? Each may be another table.
local function is_same(old, new)
    if old == new then
        return true
    elseif not old or #old ~= #new then
        return false
    end
    core.table.sort(new, by_host)
    for i, node in ipairs(new) do
        if not is_same_node(old[i], node) then
            return false
        end
    end
    return true
end

-- Give up_conf (service_name, discovery_type, discovery_args) its nodes. They stay the same table while nothing
-- changes. Returns nothing, or why there are none. May yield.
function _M.fill(up_conf)
    local known = registry.discovery
    if not known then
        return "discovery is uninitialized"
    elseif not up_conf.discovery_type then
        return "discovery server need appoint"
    elseif not known[up_conf.discovery_type] then
        return "discovery " .. up_conf.discovery_type .. " is uninitialized"
    end
    local nodes, err = known[up_conf.discovery_type].nodes(up_conf.service_name, up_conf.discovery_args)
    if not nodes then
        return "no valid upstream node: " .. (err or "nil")
    elseif is_same(up_conf.discovered, nodes) then
        return nil
    end
    local ok
    ok, err = core.schema.check(core.schema.discovery_nodes, nodes)
    if not ok then
        return "invalid nodes format: " .. err
    end
    core.table.sort(nodes, by_host)
    up_conf.discovered, up_conf.nodes = nodes, core.table.clone(nodes)
    up_conf._nodes_ver = (up_conf._nodes_ver or 0) + 1
    return nil
end

return _M
