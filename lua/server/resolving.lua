-- Owns the way from a host name to an address for outgoing sockets, as the setting `resolver` says: "system"
-- (the machine's own resolver), "" (none), or nameservers as in nginx's directive ("127.0.0.1:53 ipv6=off").
-- Source: nginx, ngx_parse_url, "resolver" and "resolver_timeout"; texts of ngx_resolver_strerror.
local address = require "server.address"
local bridge = require "server.bridge"

local tonumber = tonumber
local find, match, sub = string.find, string.match, string.sub
local random = math.random

local _M = {}

local MAX_PATH = 107 -- of a unix socket

local TEXTS = {
    [1] = "Format error", [2] = "Server failure", [3] = "Host not found", [4] = "Unimplemented",
    [5] = "Operation refused", [110] = "Operation timed out",
}

-- What the path of "unix:/path" lacks, or nil.
local function bad_path(path)
    if path == "" then
        return "no path in the unix domain socket"
    elseif #path > MAX_PATH then
        return "too long path in the unix domain socket"
    end
end

-- What host is. Returns it and the port when it is an address; false for a name; or nil and what is wrong with it.
local function classify(host, port)
    if sub(host, 1, 5) == "unix:" then
        local err = bad_path(sub(host, 6))
        return not err and host or nil, err or port
    elseif host == "" then
        return nil, "no host"
    elseif address.parse(host, 0) then
        return host, port
    end
    local inner, own_port = match(host, "^(.-):(%d+)$") -- a port in the host goes before the other
    if inner and address.parse(inner, 0) then
        return inner, tonumber(own_port)
    elseif sub(host, 1, 1) == "[" then
        return nil, find(host, "]", 1, true) and "invalid IPv6 address" or "invalid host"
    end
    return false
end

local function ask_system(host)
    local found, err = bridge.await.resolve(host, "A")
    if found and found[1] then
        return found
    end
    return nil, err and find(err, "temporary", 1, true) and 2 or 3
end

-- All addresses of a host name, or nil and one of TEXTS' numbers.
local function ask(host, settings)
    if settings.resolver == "system" then
        return ask_system(host)
    end
    return require("server.nameservers").find(settings.resolver, host, settings.resolver_timeout)
end

-- An address of host (itself, when it is one), chosen at random where there are several; waits for the answer.
-- settings: the ones in force. Returns it as text and the port to go to; or nil and an error text of ngx_lua.
function _M.resolve(host, port, settings)
    local where, detail = classify(host, port)
    if where then
        return where, detail
    elseif detail then
        return nil, 'failed to parse host name "' .. host .. '": ' .. detail
    end
    if settings.resolver == "" then
        return nil, 'no resolver defined to resolve "' .. host .. '"'
    end
    local found, code = ask(host, settings)
    if not found then
        return nil, host .. " could not be resolved (" .. code .. ": " .. (TEXTS[code] or "Unknown error") .. ")"
    end
    return found[random(#found)], port
end

return _M
