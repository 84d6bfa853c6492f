-- Owns the module ngx.balancer: choosing the peer of a proxied request in the balancer phase.
-- Source: lua-resty-core, ngx.balancer.
local address = require "server.address"
local current = require "server.current"

local error, type = error, type
local find = string.find

local _M = { version = "0.1.28" }

local function state()
    local r = current.request
    if not r or r.phase ~= "balancer" then
        error("API disabled in the context of " .. (r and r.phase or "init"), 3)
    end
    return r.balancer
end

local keys, keys_n = {}, 0 -- host -> port -> "host:port"; bounded

local function key_of(host, port)
    local ports = keys[host]
    local key = ports and ports[port]
    if key then
        return key
    end
    if not address.parse(host, port) then
        return nil
    end
    key = find(host, "unix:", 1, true) == 1 and host or host .. ":" .. port
    if keys_n > 10000 then
        keys, keys_n = {}, 0
    end
    keys[host] = keys[host] or {}
    keys[host][port] = key
    keys_n = keys_n + 1
    return key
end

-- host: an address in text (not a name), or "unix:/path"; server_name: what an upstream over TLS is asked for and
-- verified by, nil: what the proxy's settings say. Returns true, or nil and an error text.
function _M.set_current_peer(host, port, server_name)
    local balancer = state()
    if type(host) ~= "string" then
        error("bad argument #1 to 'set_current_peer' (string expected, got " .. type(host) .. ")", 2)
    end
    port = port or 0
    local key = key_of(host, port)
    if not key then
        return nil, "no host allowed"
    end
    balancer.host, balancer.port, balancer.key, balancer.name = host, port, key, key
    balancer.server_name = server_name
    return true
end

-- How many more tries may follow when this one fails. Returns true.
function _M.set_more_tries(count)
    local balancer = state()
    if type(count) ~= "number" then
        error("bad argument #1 to 'set_more_tries' (number expected, got " .. type(count) .. ")", 2)
    end
    balancer.more_tries = count
    return true
end

-- Returns nil before the first failure, else "failed" (or "next") and the status code of the failed try.
function _M.get_last_failure()
    local balancer = state()
    return balancer.failure, balancer.failure_code
end

local function check_timeout(value, name)
    if value == nil then
        return nil
    end
    if type(value) ~= "number" or value <= 0 then
        return "bad " .. name .. " timeout"
    end
end

-- Seconds, nil to leave one as it is. Returns true, or nil and an error text.
function _M.set_timeouts(connect, send, read)
    local balancer = state()
    local err = check_timeout(connect, "connect") or check_timeout(send, "send") or check_timeout(read, "read")
    if err then
        return nil, err
    end
    balancer.connect_timeout = connect or balancer.connect_timeout
    balancer.send_timeout = send or balancer.send_timeout
    balancer.read_timeout = read or balancer.read_timeout
    return true
end

-- Keep the connection to this peer for later requests: so long (seconds) and for so many at most, where
-- given; the worker's settings otherwise. Returns true.
function _M.enable_keepalive(idle_timeout, max_requests)
    local balancer = state()
    balancer.keepalive_timeout, balancer.keepalive_requests = idle_timeout, max_requests
    return true
end

-- The request to the peer is written after this phase, so there is nothing to make anew.
function _M.recreate_request()
    state()
    return true
end

return _M
