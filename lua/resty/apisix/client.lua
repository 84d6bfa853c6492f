-- Owns what APISIX's runtime can change about the client of the running request: who it is, how much it may send,
-- and whether its requests are mirrored. Source: apisix-nginx-module, resty.apisix.client.
local address = require "server.address"
local current = require "server.current"
local requests = require "server.http.request"

local tonumber, type = tonumber, type

local extras_of = requests.extras_of

local DECLINED = -5 -- of nginx: no address

local _M = {}

-- Let the request be one of the client at ip (IPv4, IPv6 or "unix:") and port (nil or 0: the present one). The
-- address so far is $realip_remote_addr then. Holds until the request is over. Returns true, or nil and an error text.
function _M.set_real_ip(ip, port)
    local parsed = type(ip) == "string" and address.parse(ip, 0)
    if not parsed then
        return nil, "error while setting real ip, rc: " .. DECLINED
    end
    local r = current.request
    local extras = extras_of(r.main)
    extras.peer_addr, extras.peer_port = r.remote_addr, r.remote_port
    r.remote_addr = address.format(parsed)
    if port and port ~= 0 then
        r.remote_port = port
    end
    r.main.remote_addr, r.main.remote_port = r.remote_addr, r.remote_port
    return true
end

-- How many bytes of a body this request may bring (0: any number), whatever the settings say. What was read before
-- stays. Returns true, or nil and an error text.
function _M.set_client_max_body_size(bytes)
    local limit = tonumber(bytes)
    if not limit or limit < 0 then
        return nil, "error while setting client max body size"
    end
    extras_of(current.request).max_body = limit
    return true
end

-- Send a copy of this request where the application's `proxy.mirror` says. Returns true.
function _M.enable_mirror()
    extras_of(current.request).mirrored = true
    return true
end

-- Whether this request's body is read before an upstream is asked; else both go on at once. Returns true.
function _M.set_proxy_request_buffering(on)
    extras_of(current.request).buffered = on and true or false
    return true
end

return _M
