-- Owns what plugins may ask about the nodes of an upstream: whether they are others, and the addresses of those that
-- are domains. The gateway's own work is done in apisix.upstream.nodes. Mirrors apisix.utils.upstream.
local core = require "apisix.core"
local nodes = require "apisix.upstream.nodes"

local ipairs = ipairs
local tostring = tostring
local type = type

local ATTRIBUTES = { "host", "port", "weight", "priority", "metadata" }

local _M = {}

local function by_host(a, b)
    return a.host < b.host
end

local function same_node(a, b)
    for _, name in ipairs(ATTRIBUTES) do
        if a[name] ~= b[name] then
            return false
        end
    end
    return true
end

-- Does the upstream up_conf (nil: no) have these nodes, in whatever order? Sorts both arrays by host. Where
-- up_conf.original_nodes says what its nodes were before anything was filled in, those count.
function _M.compare_upstream_node(up_conf, new)
    local old = up_conf and up_conf.nodes
    if old and old == new then
        return true
    elseif type(old) ~= "table" then
        return false
    end
    if up_conf.original_nodes and #old > 0 then
        old = up_conf.original_nodes
    end
    if #new ~= #old then
        return false
    end
    core.table.sort(old, by_host)
    core.table.sort(new, by_host)
    for i = 1, #new do
        if not same_node(new[i], old[i]) then
            return false
        end
    end
    return true
end

-- Returns nodes with the address of each domain as host and the domain as domain; without those that cannot be
-- resolved, which is logged. May yield.
function _M.parse_domain_for_nodes(list)
    local resolved = { dns_nodes = list }
    nodes.resolve(resolved)
    return resolved.nodes
end

-- Give the upstream of an item, up.value with dns_nodes, the present addresses. Returns up. May yield.
function _M.parse_domain_in_up(up)
    nodes.resolve(up.value)
    return up
end

-- A version of an upstream by that of its item and of its nodes; nil without the first.
function _M.version(index, nodes_ver)
    if not index then
        return nil
    end
    return index .. tostring(nodes_ver or "")
end

return _M
