-- Owns what follows a 101 (Switching Protocols): bytes both ways until either side ends.
local clock = require "server.clock"
local errors = require "server.errors"
local output = require "server.http.output"
local task = require "server.task"

local monotonic = clock.monotonic

-- Send all that input holds to another stream. Returns how much, or nil when that stream failed.
local function pass(input, to, seconds)
    local size = input.len - input.pos
    if not to:send(input.buffer + input.pos, size, seconds) then
        return nil
    end
    input:advance(size)
    return size
end

-- Pass what input holds and what its stream brings to another stream, until either ends, or neither way
-- had anything for `seconds`. tunnel.last: when something passed; tunnel[name]: bytes so far.
local function pump(tunnel, name, input, to, seconds)
    while true do
        if input.buffer then
            local size = pass(input, to, tunnel.send_timeout)
            if not size then
                return
            end
            tunnel[name] = tunnel[name] + size
            tunnel.last = monotonic()
        end
        local left = tunnel.last + seconds - monotonic()
        local n, err
        if left > 0 then
            n, err = input:fill(left)
        end
        if n == 0 or not n and err ~= "timeout" then
            return
        end
    end
end

-- Send r's head (its status is 101) and pass bytes between its client and connection until one ends.
return function(r, connection)
    local seconds = r.balancer.read_timeout
    r.keepalive, r.no_body = false, true
    r.stream.on_hangup = nil
    output.send_headers(r)
    if output.flush(r) then
        local tunnel = { last = monotonic(), up = 0, down = 0, send_timeout = r.settings.send_timeout }
        local upward = task.new(function()
            pump(tunnel, "up", r.conn.input, connection.stream, seconds)
            connection:close()
        end, r, function(self, ok, err)
            if not ok then
                errors.report(self, "in a tunnel: ", err)
            end
        end)
        task.resume(upward)
        pump(tunnel, "down", connection.input, r.stream, seconds)
        task.kill(upward)
        r.bytes_sent = r.bytes_sent + tunnel.down
        r.body_bytes_sent = tunnel.down
    end
    r.ended, r.done = true, true
    connection:close()
    r.upstream_connection = nil
end
