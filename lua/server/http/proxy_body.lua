-- Owns the way of a request's body to an upstream while it is still arriving, or from the file that it lies in.
local buffer = require "string.buffer"
local errors = require "server.errors"
local ffi = require "ffi"
local request_body = require "server.http.request_body"
local task = require "server.task"

local cast = ffi.cast

local _M = {}

-- Pass the client's body on as it comes. Returns true when all is sent; nil and which of r's fields tells
-- why not.
local function pump_body(r, connection, seconds)
    local body, stream = r.body, connection.stream
    local framed = body.chunked and buffer.new()
    while true do
        local p, n = request_body.next(r)
        if not p then
            if n then
                return nil, "body_failure", n
            end
            break
        end
        local ok, err
        if framed then
            framed:reset():putf("%x\r\n", n):putcdata(p, n):put("\r\n")
            body:advance(n)
            local pointer, size = framed:ref()
            ok, err = stream:send(pointer, size, seconds)
        else
            ok, err = stream:send(p, n, seconds)
            body:advance(n)
        end
        if not ok then
            return nil, "pump_failure", err
        end
        r.upstream_bytes_sent = r.upstream_bytes_sent + n
    end
    if framed then
        local ok, err = stream:send(cast("const uint8_t *", "0\r\n\r\n"), 5, seconds)
        if not ok then
            return nil, "pump_failure", err
        end
    end
    return true
end

-- Send the body from the file that it lies in. Returns as pump_body does.
local function pump_file(r, connection, seconds)
    local ok, err = r.body_file:send(connection.stream, seconds)
    if not ok then
        return nil, err == "the file was cut" and "body_failure" or "pump_failure", err
    end
    r.upstream_bytes_sent = r.upstream_bytes_sent + r.body_file.size
    return true
end

-- What to answer when the client's body failed, by why it did; else the client is gone.
_M.ANSWERS = { ["too large"] = 413, ["invalid chunk"] = 400, ["timeout"] = 408, ["the file was cut"] = 500 }

-- What a failed body means for its upstream connection: a peer that stopped reading may have answered.
local function on_pump_failure(r, connection, field, err)
    if field == "pump_failure" and err ~= "timeout" then
        return
    end
    r[field] = err
    if field == "body_failure" and not _M.ANSWERS[err] then -- the client is gone
        r.aborted, r.keepalive = true, false
    end
    connection:close() -- the peer must not take a part for the whole
end

-- Begin to send r's body over connection, by a task of its own: r.pump until that is done. Each wait takes at most
-- `seconds`. What fails stands in r.pump_failure (the upstream) or r.body_failure (the client, or its file).
function _M.start(r, connection, seconds)
    local pump = task.new(function()
        local ok, field, err = (r.body_file and pump_file or pump_body)(r, connection, seconds)
        if not ok then
            return on_pump_failure(r, connection, field, err)
        end
        r.pump = nil
        connection.stream:postpone(r.balancer.read_timeout)
        local client = r.stream
        if client.hangup and client.on_hangup then -- it said so while the body was read
            return client:on_hangup()
        end
    end, r, function(pump, ok, err)
        if not ok then
            errors.report(pump, "while sending a request body to upstream: ", err)
            connection:close()
        end
    end)
    r.pump = pump
    return task.resume(pump)
end

return _M
