-- Owns the resolving of names to address records, with a cache. The look-up itself is the bridge's. Must
-- never be used where the task may not yield. Mirrors apisix.core.dns.client, for A and AAAA records.
local bridge = require "server.bridge"
local config_local = require "apisix.core.config_local"
local json = require "apisix.core.json"
local log = require "apisix.core.log"
local lrucache = require "apisix.core.lrucache"
local table = require "apisix.core.table"

local ipairs = ipairs
local random = math.random
local setmetatable = setmetatable

local TYPE_A, TYPE_AAAA, CLASS_IN = 1, 28, 1
-- The system's resolver does not tell the TTL of a record.
local DEFAULT_TTL = 10
local NEGATIVE_TTL = 1
local CACHE_SIZE = 1024

local _M = {
    RETURN_RANDOM = 1,
    RETURN_ALL = 2,
}
local mt = { __index = _M }

local function records_of(domain, addresses, kind, ttl)
    local records = {}
    for i, address in ipairs(addresses) do
        records[i] = {
            address = kind == TYPE_AAAA and "[" .. address .. "]" or address,
            class = CLASS_IN,
            name = domain,
            ttl = ttl,
            type = kind,
        }
    end
    return records
end

local function query(self, domain)
    local addresses, err = bridge.await.resolve(domain, "A")
    if addresses and #addresses > 0 then
        return records_of(domain, addresses, TYPE_A, self.ttl)
    end
    if self.enable_ipv6 then
        addresses, err = bridge.await.resolve(domain, "AAAA")
        if addresses and #addresses > 0 then
            return records_of(domain, addresses, TYPE_AAAA, self.ttl)
        end
    end
    return nil, err or "empty record received"
end

-- selector: RETURN_ALL for an array of records, else one of them at random.
-- Returns copies of {address, class, name, ttl, type}, or nil, err.
function _M:resolve(domain, selector)
    local records, err = self.cache(domain, "", query, self, domain)
    if not records then
        return nil, "failed to query the DNS server: " .. err
    end
    if selector == _M.RETURN_ALL then
        log.info("dns resolve ", domain, ", result: ", json.delay_encode(records))
        return table.deepcopy(records)
    end
    local record = records[random(#records)]
    log.info("dns resolve ", domain, ", result: ", json.delay_encode(record))
    return table.deepcopy(record)
end

-- opts.validTtl: seconds that an answer is kept; opts.enable_ipv6: whether AAAA is asked when there is no A
-- (default: apisix.enable_ipv6 of the configuration). Returns a client.
function _M.new(opts)
    local enable_ipv6 = opts.enable_ipv6
    if enable_ipv6 == nil then
        enable_ipv6 = table.try_read_attr(config_local.local_conf(), "apisix", "enable_ipv6")
    end
    local ttl = opts.validTtl or DEFAULT_TTL
    return setmetatable({
        ttl = ttl,
        enable_ipv6 = enable_ipv6,
        cache = lrucache.new({
            ttl = ttl, count = CACHE_SIZE, invalid_stale = true, serial_creating = true,
            neg_ttl = NEGATIVE_TTL, neg_count = CACHE_SIZE,
        }),
    }, mt)
end

return _M
