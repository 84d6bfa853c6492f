-- Owns the asking of name servers for the records of a name, by types in an order, and the keeping of what they said
-- for as long as it holds. Part of the discovery dns. Must never make nodes.
local core = require "apisix.core"
local lrucache = require "resty.lrucache"
local resolver = require "resty.dns.resolver"

local find = string.find
local gmatch = string.gmatch
local ipairs = ipairs
local match = string.match
local min = math.min
local open = io.open
local setmetatable = setmetatable

local TYPES = { A = resolver.TYPE_A, AAAA = resolver.TYPE_AAAA, SRV = resolver.TYPE_SRV, CNAME = resolver.TYPE_CNAME }
local TRIES, TIMEOUT = 5, 2000 -- milliseconds
local DEEPEST = 5 -- aliases of aliases
local NAMES = 1024 -- that are kept
local SHORTEST = 1 -- seconds that an answer without TTL, or a failure, is kept

local Lookup = {}
Lookup.__index = Lookup

local _M = {}

local function address_of(server)
    local host, port = core.utils.parse_addr(server)
    return { match(host, "^%[(.*)%]$") or host, port or 53 }
end

local function read_resolv_conf(path)
    local file, err = open(path, "r")
    if not file then
        return nil, err
    end
    local servers = {}
    for server in gmatch(file:read("*a"), "nameserver%s+(%S+)") do
        servers[#servers + 1] = find(server, ":", 1, true) and "[" .. server .. "]" or server
    end
    file:close()
    return servers
end

-- servers: array of "address" or "address:port", or nil; resolv_conf: the path of a file, used without them. order:
-- array of "last" (the type that a name had last), "SRV", "A", "AAAA", "CNAME". Returns a lookup, or nil, err.
function _M.new(servers, resolv_conf, order)
    local err
    if not servers then
        servers, err = read_resolv_conf(resolv_conf)
        if not servers then
            return nil, err
        end
    end
    local addresses = {}
    for i, server in ipairs(servers) do
        addresses[i] = address_of(server)
    end
    if #addresses == 0 then
        return nil, "no name servers"
    end
    local kept
    kept, err = lrucache.new(NAMES)
    if not kept then
        return nil, err
    end
    return setmetatable({ addresses = addresses, order = order, kept = kept, last = {} }, Lookup)
end

local function of_type(answers, kind)
    local records = {}
    for _, answer in ipairs(answers) do
        if answer.type == kind then
            records[#records + 1] = answer
        end
    end
    return records
end

-- The records of one type, maybe none; or nil, err.
local function query(self, name, kind)
    local client, err = resolver:new({ nameservers = self.addresses, retrans = TRIES, timeout = TIMEOUT })
    if not client then
        return nil, err
    end
    local answers
    answers, err = client:query(name, { qtype = kind })
    client:destroy()
    if not answers then
        return nil, err
    elseif answers.errcode then
        return nil, "dns server error: " .. answers.errcode .. " " .. answers.errstr
    end
    return of_type(answers, kind)
end

-- The first type of the order that the name has. Returns its records and it; or nil, err.
local function first_of(self, name)
    local last, reason = self.last[name], nil
    for _, kind in ipairs(self.order) do
        kind = kind == "last" and last or kind
        if TYPES[kind] then
            local records, err = query(self, name, TYPES[kind])
            if records and #records > 0 then
                return records, kind
            end
            reason = err or reason
        end
    end
    return nil, reason or "dns client error: 101 empty record received"
end

local function ask(self, name, depth)
    local records, kind = first_of(self, name)
    if not records then
        return nil, kind
    elseif kind ~= "CNAME" then
        self.last[name] = kind
        return records
    elseif depth == DEEPEST then
        return nil, "dns client error: 102 recursion detected"
    end
    return ask(self, records[1].cname, depth + 1)
end

local function shortest_ttl(records)
    local ttl = records[1].ttl
    for _, record in ipairs(records) do
        ttl = min(ttl, record.ttl)
    end
    return ttl > 0 and ttl or SHORTEST
end

-- The records of a name, of one type, aliases followed: an array that stays the same table as long as it holds.
-- Returns it, or nil, err. May yield.
function Lookup:records(name)
    local known = self.kept:get(name)
    if not known then
        local records, err = ask(self, name, 0)
        known = { records = records, err = err }
        self.kept:set(name, known, records and shortest_ttl(records) or SHORTEST)
    end
    return known.records, known.err
end

return _M
