-- Owns the nodes of an upstream: bringing them into one form when they are configured, resolving those
-- that are domains, filling in ports and priorities. Must never pick one.
local core = require "apisix.core"

local byte = string.byte
local ipairs = ipairs
local pairs = pairs
local sort = table.sort
local tostring = tostring

local BRACKET = byte("[")

local _M = {
    scheme_to_port = { http = 80, https = 443, grpc = 80, grpcs = 443 },
}

local function is_domain(host)
    return not core.utils.parse_ipv4(host) and not core.utils.parse_ipv6(host)
end

local function from_map(nodes)
    local list = {}
    for addr, weight in pairs(nodes) do
        local host, port = core.utils.parse_addr(addr)
        core.table.insert(list, { host = host, port = port, weight = weight, addr = addr })
    end
    sort(list, function(a, b)
        return a.addr < b.addr
    end)
    for _, node in ipairs(list) do
        node.addr = nil
    end
    return list
end

-- Bring the upstream of an item (a route, a service, an upstream: parent) into the form that requests
-- use: nodes an array; resource_key, resource_id and resource_version of the item; dns_nodes, and
-- parent.has_domain, when a node is a domain.
function _M.prepare(value, parent)
    value.resource_key = parent.key
    value.resource_version = parent.modifiedIndex or value.modifiedIndex
    value.resource_id = parent.value.id or value.id
    if not value.nodes then
        return
    end
    if not core.table.isarray(value.nodes) then
        value.nodes = from_map(value.nodes)
    end
    for _, node in ipairs(value.nodes) do
        if is_domain(node.host) then
            parent.has_domain = true
            value.dns_nodes = value.nodes
        end
    end
end

-- The address of host now; false if it cannot be resolved, which is logged.
local function address_of(host)
    if not is_domain(host) then
        return host
    end
    local address, err = core.resolver.parse_domain(host)
    if not address then
        core.log.error("dns resolver domain: ", host, " error: ", err)
    end
    return address or false
end

local function with_addresses(sources, addresses)
    local list = {}
    for i, source in ipairs(sources) do
        if addresses[i] == source.host then
            core.table.insert(list, source)
        elseif addresses[i] then
            local node = core.table.clone(source)
            node.host, node.domain = addresses[i], source.host
            core.table.insert(list, node)
        end
    end
    return list
end

-- Give an upstream with dns_nodes the present addresses of its domains; a domain that cannot be resolved
-- is left out. nodes stays the same table while the addresses do. May yield.
function _M.resolve(up_conf)
    local sources = up_conf.dns_nodes
    local addresses = up_conf.dns_addresses or {}
    local changed = not up_conf.dns_addresses
    for i = 1, #sources do
        local address = address_of(sources[i].host)
        if addresses[i] ~= address then
            addresses[i], changed = address, true
        end
    end
    if changed then
        up_conf.dns_addresses = addresses
        up_conf._nodes_ver = (up_conf._nodes_ver or 0) + 1
        up_conf.nodes = with_addresses(sources, addresses)
    end
end

local function is_bare_ipv6(node)
    return byte(node.host) ~= BRACKET and core.utils.parse_ipv6(node.host)
end

local function filled(node, port)
    local copy = core.table.clone(node)
    copy.port = node.port or port
    copy.priority = node.priority or 0
    if node.port and is_bare_ipv6(node) then
        copy.host = "[" .. node.host .. "]"
    end
    return copy
end

-- Fill in what nodes leave out: port (of the scheme), priority. Done once for each table of nodes; sets
-- up_conf.balancer_version, which changes whenever the nodes do.
-- Returns true, or nil and the reason.
function _M.fill(up_conf, scheme)
    local nodes = up_conf.nodes
    if up_conf.nodes_ref == nodes then
        return true
    end
    local complete = {}
    for i, node in ipairs(nodes) do
        if not node.port and (up_conf.scheme or "http") ~= scheme then
            return nil, "Can't detect upstream's scheme. You should either specify a port in the node "
                .. "or specify the upstream.scheme explicitly"
        end
        complete[i] = filled(node, _M.scheme_to_port[scheme])
    end
    up_conf.nodes = complete
    up_conf.nodes_ref = complete
    up_conf.balancer_version = tostring(up_conf.resource_version) .. "#" .. tostring(up_conf) .. "#"
        .. tostring(up_conf._nodes_ver or "")
    return true
end

-- What a request's Host is when it is to be the node's: host, or domain, with the port unless it is the
-- scheme's own.
function _M.host_of(node, scheme)
    if node.host_scheme ~= scheme or not node.upstream_host then
        local host = node.domain or node.host
        if scheme and _M.scheme_to_port[scheme] ~= node.port then
            host = host .. ":" .. node.port
        end
        node.upstream_host, node.host_scheme = host, scheme
    end
    return node.upstream_host
end

return _M
