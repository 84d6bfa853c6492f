-- Owns what a rule of traffic-split comes to: its conditions compiled, its upstreams made ready, a balancer over them.
-- Made once for each configuration. Part of traffic-split.
local core = require "apisix.core"
local expr = require "resty.expr.v1"
local roundrobin = require "resty.roundrobin"
local upstream = require "apisix.upstream"

local ipairs = ipairs
local pairs = pairs
local setmetatable = setmetatable

-- What of an upstream is for this plugin.
local FIELDS = { "name", "type", "hash_on", "key", "pass_host", "upstream_host", "timeout", "scheme" }

local Rule, Choice = {}, {}
Rule.__index, Choice.__index = Rule, Choice

local last_number = 0

-- rule of the configuration -> Rule
local made = setmetatable({}, { __mode = "k" })

local _M = {}

local function nodes_of(conf)
    if core.table.isarray(conf.nodes) then
        return core.table.deepcopy(conf.nodes)
    end
    local nodes = {}
    for address, weight in pairs(conf.nodes) do
        local host, port = core.utils.parse_addr(address)
        nodes[#nodes + 1] = { host = host, port = port, weight = weight }
    end
    return nodes
end

local function is_domain(host)
    return not core.utils.parse_ipv4(host) and not core.utils.parse_ipv6(host)
end

local function complete(nodes, scheme)
    local has_domain = false
    for _, node in ipairs(nodes) do
        node.port = node.port or upstream.scheme_to_port[scheme]
        node.priority = node.priority or 0
        if is_domain(node.host) then
            node.domain, has_domain = node.host, true
        end
    end
    return has_domain
end

local function new_choice(entry)
    local conf = entry.upstream
    if entry.upstream_id or not conf then
        return setmetatable({ upstream_id = entry.upstream_id }, Choice)
    end
    last_number = last_number + 1
    local self = { upstream = {}, number = last_number, changes = 0 }
    for _, field in ipairs(FIELDS) do
        self.upstream[field] = conf[field]
    end
    self.upstream.nodes = nodes_of(conf)
    self.has_domain = complete(self.upstream.nodes, conf.scheme)
    return setmetatable(self, Choice)
end

-- A node with the address that its domain has now: itself, or a copy.
local function present(node)
    if not node.domain then
        return node
    end
    local address, err = core.resolver.parse_domain(node.domain)
    if not address then
        core.log.error("dns resolver domain: ", node.domain, " error: ", err)
        return node
    elseif address == node.host then
        return node
    end
    local copy = core.table.clone(node)
    copy.host = address
    return copy
end

-- The domains of the nodes may have other addresses by now. Those that requests have in hand stay as they are.
local function resolve(self)
    local nodes, is_new = {}, false
    for i, node in ipairs(self.upstream.nodes) do
        nodes[i] = present(node)
        is_new = is_new or nodes[i] ~= node
    end
    if is_new then
        self.upstream = core.table.clone(self.upstream)
        self.upstream.nodes = nodes
        self.changes = self.changes + 1
    end
end

-- Have the request go to this upstream.
function Choice:set(ctx)
    if self.has_domain then
        resolve(self)
    end
    local id = ctx.matched_route.value.id
    if self.route_id ~= id then
        self.route_id, self.key = id, self.upstream.type .. "#route_" .. id .. "_" .. self.number
    end
    local version = ctx.conf_version
    if self.changes > 0 then
        version = version .. "#" .. self.changes
    end
    upstream.set(ctx, self.key, version, self.upstream)
    if self.upstream.scheme == "https" then
        upstream.set_scheme(ctx, self.upstream)
    end
end

-- Does one of the conditions hold? A rule without any always does.
function Rule:holds(vars)
    for _, condition in ipairs(self.conditions) do
        if condition:eval(vars) then
            return true
        end
    end
    return #self.conditions == 0
end

local function make(rule)
    local self = { conditions = {}, ids = {} }
    for i, condition in ipairs(rule.match or {}) do
        self.conditions[i] = expr.new(condition.vars)
    end
    local weights = {}
    for _, entry in ipairs(rule.weighted_upstreams) do
        weights[new_choice(entry)] = entry.weight
        self.ids[#self.ids + 1] = entry.upstream_id
    end
    self.balancer = roundrobin:new(weights)
    return setmetatable(self, Rule)
end

-- rule: of a checked configuration. Returns {balancer, ids (of upstreams), holds(vars)}.
function _M.of(rule)
    local self = made[rule]
    if not self then
        self = make(rule)
        made[rule] = self
    end
    return self
end

return _M
