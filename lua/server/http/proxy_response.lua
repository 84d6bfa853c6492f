-- Owns the way of an upstream's response to the client: which fields pass, the body as it comes, and
-- what becomes of the upstream connection then.
local bodies = require "server.http.body"
local clock = require "server.clock"
local log = require "server.log"
local output = require "server.http.output"
local task = require "server.task"
local tunnel = require "server.http.tunnel"

local now = clock.now
local forward, finish = output.forward, output.finish

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

-- What earlier phases set stays, as it does in nginx; the upstream's fields follow. nominated: a set of
-- further names that are of the hop, or nil.
local function copy_headers(from, into, nominated)
    if into.n > 0 then
        make_room(from, into)
    end
    local n = into.n
    for i = 1, from.n, 3 do
        local key = from[i]
        if not HIDDEN[key] and not (nominated and nominated[key]) then
            into[n + 1], into[n + 2], into[n + 3] = key, from[i + 1], from[i + 2]
            n = n + 3
        end
    end
    into.n = n
end

local FAILURES = {
    closed = "prematurely closed connection", timeout = "timed out (110: Connection timed out)",
}

-- Pass on what is left of a body. Returns whether all of it was passed on.
local function forward_rest(r, body, framed, seconds)
    local p, n = body:next(seconds)
    if not p then
        if not n then
            return true
        end
        if not r.aborted then
            log.err("upstream ", FAILURES[n] or n,
                " while reading upstream")
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

-- writer: of server.http.cache, keeps the body; or nil.
local function forward_body(r, connection, framing, length, writer)
    local body = bodies.reset(r.response_body, connection.input, framing, length)
    if writer then
        body = require("server.http.cache").tee(body, writer)
    end
    if not connection.input.buffer then -- the body takes its time: the head does not wait for it
        output.flush(r)
    end
    return forward_rest(r, body, framing == "length", r.balancer.read_timeout)
end

-- The request's body, if it is still under way, is of no use any more.
function _M.stop_pump(r)
    if r.pump then
        task.kill(r.pump)
        r.pump = nil
        return true
    end
    return false
end

-- Make the head in r.upstream_headers r's own. nominated: as copy_headers has it.
function _M.take_head(r, code, nominated)
    if not r.status_held then -- else it is that of the error whose page this is
        r.status = code
    end
    r.default_type = nil
    copy_headers(r.upstream_headers, r.resp, nominated)
    r.length_first = true
end

-- Pass on the response whose head lies in r.upstream_headers. framing, length, keep, nominated: as
-- response_parser.framing gives them.
function _M.pass(r, connection, code, framing, length, keep, nominated)
    _M.take_head(r, code, nominated)
    if code == 101 then
        r.upgraded = r.upstream_headers:get("upgrade") or "websocket"
        return tunnel(r, connection)
    end
    local whole, cache, writer = true, r.extras and r.extras.cache, nil
    if cache then
        cache:consider()
    end
    output.send_headers(r)
    if cache then
        writer = cache:begin(code, nominated)
    end
    if framing ~= "none" and length ~= 0 then
        whole = forward_body(r, connection, framing, length, writer)
        r.upstream_response_length = r.response_body.received
        r.upstream_bytes_received = r.upstream_bytes_received + r.response_body.received
    end
    if _M.stop_pump(r) then
        keep = false
    end
    r.upstream_connection = nil
    if writer then
        writer:close(whole)
    end
    if whole and keep then
        local balancer = r.balancer
        connection:keep(balancer.keepalive_timeout, balancer.keepalive_requests)
    else
        connection:close()
    end
    r.upstream_response_time = now() - r.upstream_start
    if not r.truncated then
        finish(r)
    end
end

return _M
