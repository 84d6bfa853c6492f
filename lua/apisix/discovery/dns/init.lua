-- Owns the discovery of an upstream's nodes by DNS: the service is a name, with or without a port.
-- Mirrors apisix.discovery.dns.
local config_local = require "apisix.core.config_local"
local core = require "apisix.core"
local lookup = require "apisix.discovery.dns.lookup"
local schema = require "apisix.discovery.dns.schema"

local error = error
local ipairs = ipairs

local ORDER = { "last", "SRV", "A", "AAAA", "CNAME" }

local client

local _M = {}

local function add(nodes, address, port, record, weight)
    nodes[#nodes + 1] = {
        host = address, port = port, weight = weight,
        priority = record.priority and -record.priority, -- of SRV the smaller is chosen first
    }
end

-- Several addresses of a SRV target share its weight; weights are multiplied so that they stay whole numbers.
local function add_services(nodes, records, port)
    local found, multiple = {}, 1
    for i, record in ipairs(records) do
        local addresses, err = client:records(record.target)
        if not addresses then
            return nil, "failed to resolve SRV record " .. record.target .. ": " .. err
        end
        found[i] = addresses
        multiple = #addresses * multiple / core.math.gcd(#addresses, multiple)
    end
    for i, record in ipairs(records) do
        local weight = (record.weight == 0 and 1 or record.weight) / #found[i] * multiple
        for _, address in ipairs(found[i]) do
            add(nodes, address.address, port or record.port ~= 0 and record.port or nil, record, weight)
        end
    end
    return nodes
end

-- service_name: "name" or "name:port". Returns nodes, without a port where nothing says it; or nil, err. May yield.
function _M.nodes(service_name)
    local host, port = core.utils.parse_addr(service_name)
    local records, err = client:records(host)
    if not records then
        return nil, "failed to query the DNS server: " .. err
    elseif records[1].target then
        return add_services({}, records, port)
    end
    local nodes = {}
    for _, record in ipairs(records) do
        add(nodes, record.address, port, record, 1)
    end
    return nodes
end

-- Once per worker. Raises what is wrong with discovery.dns in config.yaml.
function _M.init_worker()
    local conf = config_local.local_conf().discovery.dns
    local ok, err = core.schema.check(schema, conf)
    if not ok then
        error("invalid discovery.dns: " .. err, 0)
    end
    client, err = lookup.new(conf.servers, conf.resolv_conf, conf.order or ORDER)
    if not client then
        error("failed to init the dns client: " .. err, 0)
    end
end

return _M
