-- Owns the proxying of a request: picking a peer (balancer phase), trying it, the next one when it
-- fails, and the way of the response back. The upstream request itself is written by proxy_request.
local bodies = require "server.http.body"
local clock = require "server.clock"
local output = require "server.http.output"
local phases = require "server.phases"
local proxy_request = require "server.http.proxy_request"
local response_parser = require "server.http.response_parser"
local settings = require "server.settings"
local task = require "server.task"
local tunnel = require "server.http.tunnel"
local upstreams = require "server.http.upstreams"
local log = require "server.log"

local now = clock.now
local run_phase = phases.run
local read_head, framing_of = response_parser.read, response_parser.framing
local forward, finish = output.forward, output.finish
local tostring = tostring

local _M = {}

-- Fields of an upstream's response that are not passed on: those of the hop (RFC 9110, section 7.6.1)
-- and those that nginx hides.
local HIDDEN = {
    ["connection"] = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["te"] = true,
    ["transfer-encoding"] = true, ["upgrade"] = true, ["trailer"] = true,
    ["date"] = true, ["server"] = true, ["x-pad"] = true, ["x-accel-expires"] = true,
    ["x-accel-redirect"] = true, ["x-accel-limit-rate"] = true, ["x-accel-buffering"] = true,
    ["x-accel-charset"] = true,
}

local IDEMPOTENT = {
    GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true, TRACE = true, PROPFIND = true,
}

-- The state that ngx.balancer reads and writes, one table per connection. failure: "failed" or "next"
-- after a failed try.
local function fresh_balancer(r)
    local balancer = r.balancer_state
    if not balancer then
        balancer = {}
        r.balancer_state = balancer
    end
    balancer.host, balancer.port, balancer.key, balancer.name = nil, nil, nil, nil
    balancer.more_tries, balancer.failure, balancer.failure_code = 0, nil, nil
    balancer.exit_code = nil
    balancer.connect_timeout = settings.proxy_connect_timeout
    balancer.send_timeout = settings.proxy_send_timeout
    balancer.read_timeout = settings.proxy_read_timeout
    return balancer
end

local function pick_peer(r)
    local balancer = r.balancer
    balancer.host = nil
    run_phase(r, "balancer")
    if not balancer.host then
        return nil
    end
    local name = balancer.name
    r.peer = balancer
    r.upstream_addr = r.upstream_addr and (r.upstream_addr .. ", " .. name) or name
    return balancer
end

local function note_status(r, code)
    r.upstream_status = r.upstream_status and (r.upstream_status .. ", " .. code) or code
end

-- The client went away while its request was at an upstream: give that up.
local function on_client_hangup(stream)
    local r = stream.request
    r.aborted, r.keepalive = true, false
    local connection = r.upstream_connection
    if connection then
        connection:close()
    end
end

local function close_upstream(r, connection)
    connection:close()
    r.upstream_connection = nil
end

-- Read the response's head, skipping interim ones. Returns status and minor version, or nil and why not.
local function read_final_head(r, connection, seconds)
    local received = r.upstream_headers
    received.n = 0
    local code, minor = read_head(connection.input, received, settings.proxy_header_size, seconds)
    if not code or code >= 200 or code == 101 then
        return code, minor
    end
    return read_final_head(r, connection, seconds)
end

-- Fields that stand in a response once: the upstream's take the place of those set before it was asked.
local SINGLE = {
    ["content-type"] = true, ["content-encoding"] = true, ["last-modified"] = true, ["etag"] = true,
    ["location"] = true, ["accept-ranges"] = true,
}

local function make_room(from, into)
    into:remove("content-length") -- the body is the upstream's
    for i = 1, from.n, 3 do
        if SINGLE[from[i]] then
            into:remove(from[i])
        end
    end
end

-- What earlier phases set stays, as it does in nginx; the upstream's fields follow.
local function copy_headers(from, into)
    if into.n > 0 then
        make_room(from, into)
    end
    local n = into.n
    for i = 1, from.n, 3 do
        local key = from[i]
        if not HIDDEN[key] then
            into[n + 1], into[n + 2], into[n + 3] = key, from[i + 1], from[i + 2]
            n = n + 3
        end
    end
    into.n = n
end

-- Pass on what is left of a body. Returns whether all of it was passed on.
local function forward_rest(r, body, framed, seconds)
    local p, n = body:next(seconds)
    if not p then
        if not n then
            return true
        end
        if not r.aborted then
            log.err("upstream ", n == "closed" and "prematurely closed connection" or n,
                " while reading response body from upstream")
        end
        r.keepalive, r.ended, r.truncated = false, true, true
        return false
    end
    local ok = forward(r, p, n, framed and n == body.left)
    body:advance(n)
    if not ok then
        return false
    end
    return body.done or forward_rest(r, body, framed, seconds) -- a tail call, no loop: see Input:fill
end

local function forward_body(r, connection, framing, length, seconds)
    local body = bodies.reset(r.response_body, connection.input, framing, length)
    return forward_rest(r, body, framing == "length", seconds)
end

local function pass_response(r, connection, code, minor)
    local received = r.upstream_headers
    local framing, length, keep = framing_of(code, minor, received, r.method)
    if not framing then
        return nil, "invalid header"
    end
    r.status = code
    r.default_type = nil
    copy_headers(received, r.resp)
    if code == 101 then
        r.upgraded = true
        tunnel(r, connection)
        return true
    end
    local whole = true
    if framing == "none" or framing == "length" and length == 0 then
        output.send_headers(r)
    else
        output.send_headers(r)
        whole = forward_body(r, connection, framing, length, r.balancer.read_timeout)
    end
    if r.pump then
        task.kill(r.pump)
        r.pump = nil
        keep = false
        r.keepalive = false
    end
    r.upstream_connection = nil
    if whole and keep then
        connection:keep()
    else
        connection:close()
    end
    r.upstream_response_time = now() - r.upstream_start
    if not r.truncated then
        finish(r)
    end
    return true
end

-- One try of the picked peer. Returns true when the response is under way, or nil, why not, and whether
-- the request may have reached the peer.
local function try(r, peer, fresh)
    local connection, err = upstreams.get(peer.host, peer.port, peer.key, peer.connect_timeout, fresh)
    if not connection then
        return nil, err, false
    end
    r.upstream_connection = connection
    if not r.upstream_connect_time then
        r.upstream_connect_time = now() - r.upstream_start
    end
    local ok
    ok, err = proxy_request.send(r, connection, peer)
    local code, minor
    if ok then
        code, minor = read_final_head(r, connection, peer.read_timeout)
        err = minor
    end
    if not code then
        local reused = connection.reused
        if r.pump then
            task.kill(r.pump)
            r.pump = nil
        end
        close_upstream(r, connection)
        if reused and not fresh and err ~= "timeout" and not r.aborted and proxy_request.repeatable(r) then
            return try(r, peer, true) -- the peer had closed an idle connection: no failure of its own
        end
        return nil, err, true
    end
    r.upstream_header_time = now() - r.upstream_start
    note_status(r, code)
    ok, err = pass_response(r, connection, code, minor)
    if not ok then
        close_upstream(r, connection)
    end
    return ok, err, true
end

local function describe(err)
    if err == "timeout" then
        return "upstream timed out (110: Connection timed out)"
    elseif err == "closed" then
        return "upstream prematurely closed connection while reading response header from upstream"
    elseif err == "invalid header" or err == "header too large" then
        return "upstream sent " .. (err == "invalid header" and "invalid header" or "too big header")
            .. " while reading response header from upstream"
    end
    return "connect() failed (" .. tostring(err) .. ") while connecting to upstream"
end

local function may_retry(r, reached)
    if r.balancer.more_tries <= 0 or r.header_sent then
        return false
    end
    return not reached or (IDEMPOTENT[r.method] and proxy_request.repeatable(r))
end

-- Try one peer after the other, until a response is under way or none is left.
local function try_peers(r)
    local peer = pick_peer(r)
    if not peer then
        local code = r.balancer.exit_code
        if not code then
            log.err("no peer was set in the balancer phase")
        end
        r.stream.on_hangup = nil
        return output.send_page(r, code or 500)
    end
    local ok, err, reached = try(r, peer)
    if ok then
        return
    end
    if r.aborted then
        r.status = 499
        return
    end
    log.err(describe(err))
    local code = err == "timeout" and 504 or 502
    note_status(r, code)
    if not may_retry(r, reached) then
        r.upstream_response_time = now() - r.upstream_start
        r.stream.on_hangup = nil
        return output.send_page(r, code)
    end
    r.balancer.more_tries = r.balancer.more_tries - 1
    r.balancer.failure, r.balancer.failure_code = "failed", code
    return try_peers(r)
end

-- Proxy r to the peers that the application's balancer phase picks.
function _M.run(r)
    r.balancer = fresh_balancer(r)
    r.upstream_start = now()
    r.upstream_addr, r.upstream_connect_time, r.upstream_header_time = nil, nil, nil
    r.upstream_headers = r.received
    r.stream.request = r
    r.stream.on_hangup = on_client_hangup
    try_peers(r)
    r.stream.on_hangup = nil
end

return _M
