-- Owns the module ngx.balancer: choosing the peer of a proxied request in the balancer phase.
-- Source: lua-resty-core, ngx.balancer. What a function returns on failure: nil and an error text.
local address = require "server.address"
local current = require "server.current"

local error, tonumber, type = error, tonumber, type
local find, match = string.find, string.match

local KEEPALIVE_TIMEOUT, KEEPALIVE_REQUESTS = 60, 100 -- of enable_keepalive: seconds, requests
local NOT_HERE = "API disabled in the current context"

local _M = { version = "0.1.33" }

-- What the phase works on; or nil and why it cannot be asked for here.
local function state()
    local r = current.request
    if not r or not r.headers then
        error("no request found", 3)
    elseif r.phase == "balancer" then
        return r.balancer
    end
    return nil, r.balancer and NOT_HERE or "no upstream found"
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

-- "127.0.0.1:80", "[::1]:80": the address and the port in it, if there is one.
local function split(host)
    local inner, port = match(host, "^(%[[%x:.]+%]):(%d+)$")
    if not inner then
        inner, port = match(host, "^([^:]+):(%d+)$")
    end
    return inner or host, tonumber(port)
end

-- host: an address in text (not a name), with the port or without, or "unix:/path"; port: a number, may be left out
-- where host has it; server_name: what an upstream over TLS is asked for and verified by, and what tells idle
-- connections apart; nil: what the proxy's settings say; or, as APISIX's own ngx.balancer has it, {pool = the name
-- that tells idle connections apart}. Returns true.
function _M.set_current_peer(host, port, server_name)
    local balancer, err = state()
    local pool
    if type(server_name) == "table" then
        pool, server_name = server_name.pool, nil
    elseif server_name ~= nil and type(server_name) ~= "string" then
        error("bad argument #3 to 'set_current_peer' (string expected, got " .. type(server_name) .. ")", 2)
    elseif type(host) ~= "string" then
        error("bad argument #1 to 'set_current_peer' (string expected, got " .. type(host) .. ")", 2)
    elseif not balancer then
        return nil, err
    end
    port = tonumber(port) or 0
    local key = key_of(host, port)
    if not key then
        host, port = split(host)
        key = port and key_of(host, port)
        if not key then
            return nil, host == "" and "no host" or "no host allowed"
        end
    end
    balancer.host, balancer.port, balancer.key, balancer.name = host, port, key, key
    balancer.server_name, balancer.pool = server_name, pool
    return true
end

-- Connect from this local address, "127.0.0.1" or with a port, "127.0.0.1:1024". Returns true.
function _M.bind_to_local_addr(addr)
    local balancer, err = state()
    if type(addr) ~= "string" then
        error("bad argument #1 to 'bind_to_local_addr' (string expected, got " .. type(addr) .. ")", 2)
    elseif not balancer then
        return nil, err
    end
    local host, port = split(addr)
    if not address.parse(host, port or 0) then
        return nil, "invalid addr " .. addr
    end
    balancer.from = { host = host, port = port or 0, text = addr }
    return true
end

-- How many more tries may follow when this one fails. Returns true; and "reduced tries due to limit" when the
-- location's next_upstream_tries leave fewer.
function _M.set_more_tries(count)
    local balancer, err = state()
    if type(count) ~= "number" then
        error("bad argument #1 to 'set_more_tries' (number expected, got " .. type(count) .. ")", 2)
    elseif not balancer then
        return nil, err
    end
    local limit = balancer.tries_limit
    local total = balancer.tried + balancer.more_tries
    if limit > 0 and total + count > limit then
        balancer.added_tries = limit - total
        return true, "reduced tries due to limit"
    end
    balancer.added_tries = count
    return true
end

-- Returns nil before the first failure, else "failed" (or "next") and the status code of the failed try.
function _M.get_last_failure()
    local balancer, err = state()
    if not balancer then
        return nil, nil, err
    end
    return balancer.failure, balancer.failure_code
end

local function checked_timeout(value, name)
    if value and (type(value) ~= "number" or value <= 0) then
        error("bad " .. name .. " timeout", 3)
    end
    return value
end

-- Seconds, nil to leave one as it is. Returns true.
function _M.set_timeouts(connect, send, read)
    local balancer, err = state()
    connect, send = checked_timeout(connect, "connect"), checked_timeout(send, "send")
    read = checked_timeout(read, "read")
    if not balancer then
        return false, err
    end
    balancer.connect_timeout = connect or balancer.connect_timeout
    balancer.send_timeout = send or balancer.send_timeout
    balancer.read_timeout = read or balancer.read_timeout
    return true
end

local function checked_bound(value, index, default)
    if not value then
        return default
    elseif type(value) ~= "number" then
        error("bad argument #" .. index .. " to 'enable_keepalive' (number expected, got " .. type(value) .. ")", 3)
    elseif value < 0 then
        error("bad argument #" .. index .. " to 'enable_keepalive' (expected >= 0)", 3)
    end
    return value
end

-- Keep the connection to this peer for later requests: so long (seconds, 0: for ever, default 60) and for so many
-- at most (0: any number, default 100). Returns true.
function _M.enable_keepalive(idle_timeout, max_requests)
    local balancer, err = state()
    idle_timeout = checked_bound(idle_timeout, 1, KEEPALIVE_TIMEOUT)
    max_requests = checked_bound(max_requests, 2, KEEPALIVE_REQUESTS)
    if not balancer then
        return nil, err
    elseif not balancer.host then
        return nil, "no current peer set"
    end
    balancer.keepalive_timeout, balancer.keepalive_requests = idle_timeout, max_requests
    return true
end

-- The request to the peer is written after this phase, so there is nothing to make anew. Returns true.
function _M.recreate_request()
    local balancer, err = state()
    if not balancer then
        return nil, err
    end
    return true
end

-- Speak TLS to the peer, or (on: false or 0) do not, whatever the proxy's scheme. Returns true.
function _M.set_upstream_tls(on)
    local balancer, err = state()
    if not balancer then
        return nil, err
    end
    balancer.secure = on ~= 0 and on ~= false
    return true
end

return _M
