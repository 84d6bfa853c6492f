-- Owns checks of IP addresses for plugins. Mirrors apisix.core.ip.
local json = require "apisix.core.json"
local log = require "apisix.core.log"
local ipmatcher = require "resty.ipmatcher"

local match = string.match
local tonumber = tonumber

local _M = {}

-- ip_list: array of addresses and CIDR blocks. Returns a resty.ipmatcher object, or nil (logged).
function _M.create_ip_matcher(ip_list)
    local matcher, err = ipmatcher.new(ip_list)
    if not matcher then
        log.error("failed to create ip matcher: ", err, " ip list: ", json.delay_encode(ip_list))
        return nil
    end
    return matcher
end

-- Whether ip is an IPv4 or IPv6 address, or a CIDR block of either.
function _M.validate_cidr_or_ip(ip)
    local address, mask = match(ip, "^([^/]*)/(%d+)$")
    mask = tonumber(mask or 0)
    address = address or ip
    if ipmatcher.parse_ipv4(address) then
        return mask <= 32
    end
    return mask <= 128 and ipmatcher.parse_ipv6(address) ~= false
end

return _M
