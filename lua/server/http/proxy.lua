-- Owns the proxying of a request: picking a peer (balancer phase), trying it, the next one when it
-- fails, and the way of the response back. The upstream request itself is written by proxy_request.
local clock = require "server.clock"
local phases = require "server.phases"
local proxy_body = require "server.http.proxy_body"
local proxy_errors = require "server.http.proxy_errors"
local proxy_request = require "server.http.proxy_request"
local proxy_response = require "server.http.proxy_response"
local redirects = require "server.http.redirects"
local request_body = require "server.http.request_body"
local response_parser = require "server.http.response_parser"
local upstream_vars = require "server.vars.upstream"
local upstreams = require "server.http.upstreams"
local log = require "server.log"

local new_tab = require "table.new"

local now = clock.now
local run_phase = phases.run
local read_head, framing_of = response_parser.read, response_parser.framing
local pass, stop_pump = proxy_response.pass, proxy_response.stop_pump
local type = type

local _M = {}

local IDEMPOTENT = {
    GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true, TRACE = true, PROPFIND = true,
}

-- How it looks when a peer had closed the idle connection that a request was sent on.
local STALE = { ["closed"] = true, ["connection reset by peer"] = true, ["broken pipe"] = true }

-- The state that ngx.balancer reads and writes, one table per connection. failure: "failed" or "next"
-- after a failed try.
local function fresh_balancer(r)
    local balancer = r.balancer_state
    if not balancer then
        balancer = new_tab(0, 32) -- roomy: see SLOTS in request.lua
        r.balancer_state = balancer
    end
    balancer.host, balancer.port, balancer.key, balancer.name = nil, nil, nil, nil
    balancer.tried, balancer.more_tries, balancer.failure, balancer.failure_code = 0, 0, nil, nil
    balancer.tries_limit, balancer.exit_code = proxy_request.tries_limit(r), nil
    balancer.connect_timeout = r.settings.proxy_connect_timeout
    balancer.send_timeout = r.settings.proxy_send_timeout
    balancer.read_timeout = r.settings.proxy_read_timeout
    return balancer
end

local function pick_peer(r)
    local balancer = r.balancer
    balancer.host, balancer.server_name, balancer.pool, balancer.from, balancer.secure = nil, nil, nil, nil, nil
    balancer.keepalive_timeout, balancer.keepalive_requests = nil, nil
    balancer.tried, balancer.added_tries = balancer.tried + 1, 0
    r.peer = nil
    run_phase(r, "balancer")
    if not balancer.host or balancer.exit_code then
        return nil
    end
    balancer.more_tries = balancer.more_tries + balancer.added_tries
    if balancer.secure == nil then
        balancer.secure = proxy_request.is_secure(r)
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

local INTERIM_MAX = 32 -- 1xx responses before the final one

-- Read the response's head, skipping interim ones. Returns status and minor version, or nil and why not.
-- The time for it begins when the request is sent: a long body may take longer to arrive here.
local function read_final_head(r, connection, seconds, interim)
    local received = r.upstream_headers
    received.n = 0
    local code, minor = read_head(connection.input, received, r.settings.proxy_header_size, seconds)
    if code and (code >= 200 or code == 101) then
        return code, minor
    elseif not code and not (minor == "timeout" and r.pump and not r.pump.dead) then
        return nil, minor
    elseif interim > INTERIM_MAX then
        return nil, "invalid header"
    end
    return read_final_head(r, connection, seconds, code and interim + 1 or interim)
end

-- Returns status, framing, length, keep and nominated (see response_parser.framing), or nil and why not.
local function await_response(r, connection, peer)
    local ok, err = proxy_request.send(r, connection, peer)
    if not ok then
        return nil, err
    end
    local code, minor = read_final_head(r, connection, peer.read_timeout, 0)
    if not code then
        return nil, r.pump_failure or minor
    end
    local framing, length, keep, nominated = framing_of(code, minor, r.upstream_headers, proxy_request.method(r))
    if not framing or code == 101 and (r.parent or not r.headers:get("upgrade")) then
        return nil, "invalid header"
    end
    return code, framing, length, keep, nominated
end

local function may_repeat(r)
    return IDEMPOTENT[r.method] and proxy_request.repeatable(r)
end

-- The response is one that the application wants another peer's in the stead of.
local function unwanted(r, code)
    local codes = proxy_request.next_codes(r)
    return codes and codes[code] and r.balancer.more_tries > 0 and may_repeat(r)
end

-- The application has a page of its own in the stead of such a response (proxy_intercept_errors).
local function intercepted(r, code)
    return code >= 300 and proxy_request.intercepts(r) and redirects.has_page(r, code)
        or code >= 500 and r.extras and r.extras.cache and r.extras.cache:covers(code)
end

-- The response is not wanted, as the page for its status is: drop it. Returns the status.
local function intercept(r, connection, code)
    stop_pump(r)
    connection:close()
    r.upstream_connection = nil
    r.upstream_response_time = now() - r.upstream_start
    local challenge = code == 401 and r.upstream_headers:get("www-authenticate")
    if challenge then
        r.resp:set("www-authenticate", "WWW-Authenticate", challenge)
    end
    return code
end

-- One try of the picked peer. Returns true when the response is out, or a status when that is to be answered;
-- or nil, why not (an error text or an unwanted status), whether the request may have reached the peer, and whether
-- connect() failed at once.
local function try(r, peer, fresh)
    local secure = peer.secure and require("server.http.upstream_tls").of(r, peer) or nil
    local connection, err, at_once = upstreams.get(peer, fresh, secure)
    if not connection then
        return nil, err, false, at_once
    elseif r.aborted then
        connection:close()
        return nil, "client aborted", true
    end
    r.upstream_connection = connection
    r.upstream_connect_time = now() - r.upstream_start
    local code, framing, length, keep, nominated = await_response(r, connection, peer)
    if code and not unwanted(r, code) then
        r.upstream_header_time = now() - r.upstream_start
        r.upstream_bytes_received = r.upstream_headers.size
        note_status(r, code)
        if intercepted(r, code) then
            return intercept(r, connection, code)
        end
        pass(r, connection, code, framing, length, keep, nominated)
        return true
    end
    stop_pump(r)
    connection:close()
    r.upstream_connection = nil
    if connection.reused and not fresh and not code and STALE[framing] and not r.aborted and may_repeat(r) then
        return try(r, peer, true) -- the peer had closed an idle connection: no failure of its own
    end
    return nil, code or framing, true
end

local function may_retry(r, err, reached)
    if r.balancer.more_tries <= 0 then
        return false
    elseif type(err) == "number" then
        return true
    end
    local kind = err == "timeout" and err
        or (err == "invalid header" or err == "header too large") and "invalid_header" or "error"
    return proxy_request.next_on(r, kind) and (not reached or may_repeat(r))
end

-- The client or its body failed while the request was at an upstream. Returns whether that was so, and the
-- status to answer with, if any.
local function client_failed(r)
    local answer = proxy_body.ANSWERS[r.body_failure]
    if not answer and not r.aborted then
        return false
    end
    if answer == 408 or not answer then
        r.status, r.aborted, r.keepalive = answer or 499, true, false
        return true
    end
    log.err("client sent a body that cannot be passed on: ", r.body_failure)
    r.keepalive = false
    return true, answer
end

-- Try one peer after the other, until a response is under way or none is left. Returns as run() does.
local function try_peers(r)
    r.upstream_start = now()
    r.upstream_connect_time, r.upstream_header_time, r.upstream_response_time = nil, nil, nil
    r.upstream_response_length, r.upstream_bytes_received, r.upstream_bytes_sent = 0, 0, 0
    local peer = pick_peer(r)
    if not peer then
        local code = r.balancer.exit_code
        if not code then
            log.err("lua balancer: no peer set while connecting to upstream")
        end
        return code or 500
    end
    local ok, err, reached, at_once = try(r, peer)
    if ok then
        return ok ~= true and ok or nil
    end
    local failed, answer = client_failed(r)
    if failed then
        return answer
    end
    local code = err
    if type(err) == "string" then
        proxy_errors.report(peer, err, reached, at_once)
        code = err == "timeout" and 504 or 502
    end
    note_status(r, code)
    r.upstream_response_time = now() - r.upstream_start
    if not may_retry(r, err, reached) then
        return code
    end
    r.upstream_past = upstream_vars.past(r)
    local balancer = r.balancer
    balancer.more_tries = balancer.more_tries - 1
    balancer.failure = (code == 403 or code == 404) and "next" or "failed"
    balancer.failure_code = code
    return try_peers(r)
end

-- What few requests ask for before an upstream is asked (see request.lua). Returns nil; or true when there is
-- nothing left to do, or a status to answer with.
local function prepare(r, extras)
    local limit = extras.oversized and not r.body_read and request_body.limit_of(r) or 0
    if limit > 0 and r.content_length > limit then
        log.err("client intended to send too large body: ", r.content_length, " bytes")
        r.body_discarded = true
        return 413
    elseif extras.mirrored or extras.buffered then
        local ok, err = request_body.read(r)
        if not ok then
            r.body_failure, r.aborted = err, not proxy_body.ANSWERS[err]
            local _, answer = client_failed(r)
            return answer or true
        end
    end
    if extras.mirrored then
        require("server.http.mirror").start(r)
    end
    return extras.cached and require("server.http.cache").serve(r) or nil
end

-- Proxy r to the peers that the application's balancer phase picks. Returns nil when that was the response,
-- or the status to answer with.
function _M.run(r)
    local early = r.extras and prepare(r, r.extras)
    if early then
        return early ~= true and early or nil
    end
    r.balancer = fresh_balancer(r)
    r.upstream_addr, r.upstream_past = nil, nil
    r.upstream_headers = r.received
    local watched = not proxy_request.ignores_abort(r)
    r.stream.request = r
    r.stream.on_hangup = watched and on_client_hangup or nil
    local code
    if r.stream.hangup and watched then
        on_client_hangup(r.stream)
        r.status = 499
    else
        code = try_peers(r)
    end
    r.stream.on_hangup = nil
    local cache = code and r.extras and r.extras.cache
    return (not cache or not cache:rescue(code)) and code or nil
end

return _M
