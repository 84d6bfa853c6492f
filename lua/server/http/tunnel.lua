-- Owns what follows a 101 (Switching Protocols): bytes both ways until either side ends.
local ffi = require "ffi"
local log = require "server.log"
local output = require "server.http.output"
local task = require "server.task"

-- Pass what input holds and what its stream brings to another stream, until either ends.
local function pump(input, to, seconds)
    local held = input:take_all()
    if held and not to:send(ffi.cast("const uint8_t *", held), #held, seconds) then
        return
    end
    while true do
        local n = input:fill(seconds)
        if not n or n == 0 or not to:send(input.buffer + input.pos, n, seconds) then
            return
        end
        input:advance(n)
    end
end

-- Send r's head (its status is 101) and pass bytes between its client and connection until one ends.
return function(r, connection)
    local seconds = r.balancer.read_timeout
    r.keepalive, r.no_body = false, true
    r.stream.on_hangup = nil
    output.send_headers(r)
    if output.flush(r) then
        local upward = task.new(function()
            pump(r.conn.input, connection.stream, seconds)
            connection:close()
        end, r, function(_, ok, err)
            if not ok then
                log.err("in a tunnel: ", err)
            end
        end)
        task.resume(upward)
        pump(connection.input, r.stream, seconds)
        task.kill(upward)
    end
    connection:close()
end
