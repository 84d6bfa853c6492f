-- Owns a router of two levels: first the host, then the path. Each host has a router of its own; an exact
-- host is tried first, then wildcards from the longest, then the routes that name no host.
-- Must never know where routes come from.
local clone = require("apisix.core.table").clone
local new_router = require("apisix.utils.router").new
local tree = require "radixtree.tree"

local byte = string.byte
local ipairs = ipairs
local reverse = string.reverse
local setmetatable = setmetatable
local sub = string.sub

local STAR = byte("*")

local Hosts = {}
Hosts.__index = Hosts

-- The node of a wildcard host: keyed by its suffix, read backwards.
local function wildcard_node(self, host, make)
    return (make and tree.insert or tree.find)(self.wildcards, reverse(sub(host, 2)))
end

local function router_of(self, host)
    if byte(host) ~= STAR then
        local router = self.exact[host] or new_router({})
        self.exact[host] = router
        return router
    end
    local node = wildcard_node(self, host, true)
    node.value = node.value or { host = host, router = new_router({}) }
    self.has_wildcards = true
    return node.value.router
end

local function without_hosts(route)
    local copy = clone(route)
    copy.hosts = nil
    return copy
end

-- Add one route of radixtree.
function Hosts:add_route(route)
    if not route.hosts then
        return self.any:add_route(route)
    end
    local copy = without_hosts(route)
    for _, host in ipairs(route.hosts) do
        router_of(self, host):add_route(copy)
    end
end

local function delete_exact(self, host, route)
    local router = self.exact[host]
    if router then
        router:delete_route(route)
        if router.size == 0 then
            self.exact[host] = nil
        end
    end
end

local function delete_wildcard(self, host, route)
    local node = wildcard_node(self, host, false)
    local found = node and node.value
    if found then
        found.router:delete_route(route)
        if found.router.size == 0 then
            node.value = nil
            tree.prune(node)
        end
    end
end

-- Remove the route, known by its id.
function Hosts:delete_route(route)
    if not route.hosts then
        return self.any:delete_route(route)
    end
    for _, host in ipairs(route.hosts) do
        if byte(host) == STAR then
            delete_wildcard(self, host, route)
        else
            delete_exact(self, host, route)
        end
    end
end

local function by_wildcard(self, path, opts)
    local node = tree.deepest(self.wildcards, reverse(opts.host))
    while node do
        local found = node.value
        local metadata = found and found.router:match(path, opts)
        if metadata then
            return metadata, found.host
        end
        node = node.parent
    end
    return nil
end

-- As radixtree's match.
function Hosts:match(path, opts)
    local host = opts.host
    local router = host and self.exact[host]
    local metadata = router and router:match(path, opts)
    if metadata then
        opts.matched._host = host
        return metadata
    end
    if host and self.has_wildcards then
        local wildcard
        metadata, wildcard = by_wildcard(self, path, opts)
        if metadata then
            opts.matched._host = wildcard
            return metadata
        end
    end
    return self.any:match(path, opts)
end

-- An empty router.
return function()
    return setmetatable({ exact = {}, wildcards = tree.new(), any = new_router({}) }, Hosts)
end
