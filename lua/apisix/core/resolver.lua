-- Owns the turning of an upstream's domain into addresses. Mirrors apisix.core.resolver.
local config_local = require "apisix.core.config_local"
local dns_client = require "apisix.core.dns.client"
local ipmatcher = require "resty.ipmatcher"
local json = require "apisix.core.json"
local log = require "apisix.core.log"
local utils = require "apisix.core.utils"

local gmatch = string.gmatch
local gsub = string.gsub
local ipairs = ipairs
local match = string.match
local open = io.open
local sort = table.sort

local HOSTS_FILE = "/etc/hosts"

local _M = {}

-- name -> {ipv4 = text, ipv6 = "[text]"}, the first of each.
local hosts = {}

local function add_host(address)
    local family
    if ipmatcher.parse_ipv4(address) then
        family = "ipv4"
    elseif ipmatcher.parse_ipv6(address) then
        family, address = "ipv6", "[" .. address .. "]"
    end
    return function(name)
        local known = hosts[name] or {}
        if family and not known[family] then
            known[family] = address
        end
        hosts[name] = known
    end
end

local function read_hosts()
    local file = open(HOSTS_FILE, "rb")
    if not file then
        return
    end
    hosts = {}
    for line in file:lines() do
        local address, names = match(gsub(line, "#.*", ""), "^%s*(%S+)%s+(.+)$")
        if address then
            local add = add_host(address)
            for name in gmatch(names, "%S+") do
                add(name)
            end
        end
    end
    file:close()
end

-- args.dns_resolver: array of name server addresses. Reads the hosts file.
function _M.init_resolver(args)
    read_hosts()
    local servers = args and args.dns_resolver
    utils.set_resolver(servers)
    log.info("dns resolver ", json.delay_encode(servers, true))
end

local function ipv6_enabled()
    return config_local.local_conf().apisix.enable_ipv6
end

-- Resolves host; yields unless the hosts file has it. Returns one address (IPv6 in brackets), or nil, err.
function _M.parse_domain(host)
    local known = hosts[host]
    local address = known and (known.ipv4 or ipv6_enabled() and known.ipv6)
    if not address then
        local record, err = utils.dns_parse(host)
        if not record then
            log.error("failed to parse domain: ", host, ", error: ", err)
            return nil, err
        end
        address = record.address
    end
    log.info("dns resolver domain: ", host, " to ", address)
    return address
end

local function all_known(host)
    local known = hosts[host]
    local addresses = {}
    if known then
        addresses[1] = known.ipv4
        if ipv6_enabled() then
            addresses[#addresses + 1] = known.ipv6
        end
    end
    return addresses
end

-- Resolves host; yields unless the hosts file has it. Returns its addresses, sorted, each once, or nil, err.
function _M.parse_domain_all(host)
    local addresses = all_known(host)
    if #addresses == 0 then
        local records, err = utils.dns_parse(host, dns_client.RETURN_ALL)
        if not records then
            log.error("failed to parse domain: ", host, ", error: ", err)
            return nil, err
        end
        local seen = {}
        for _, record in ipairs(records) do
            if not seen[record.address] then
                seen[record.address] = true
                addresses[#addresses + 1] = record.address
            end
        end
    end
    sort(addresses)
    log.info("dns resolve ", host, ", result: ", json.delay_encode(addresses))
    return addresses
end

return _M
