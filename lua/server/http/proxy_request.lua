-- Owns the request that goes to an upstream: its head, written from the client's and from the
-- application's `proxy` table (nginx's proxy_* directives), and its body.
local buffer = require "string.buffer"
local ffi = require "ffi"
local headers = require "server.http.headers"
local phases = require "server.phases"
local request_body = require "server.http.request_body"
local task = require "server.task"
local template = require "server.http.template"
local uri = require "server.http.uri"

local lower = headers.lower
local ipairs = ipairs

local _M = {}

local out = buffer.new(4096) -- written and sent without a wait in between, so one is enough

-- Fields of the client's request that are not passed on as they are.
local HOP = {
    ["connection"] = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["te"] = true,
    ["transfer-encoding"] = true, ["upgrade"] = true, ["trailer"] = true, ["expect"] = true,
    ["content-length"] = true,
}

local compiled_for, compiled

-- proxy: {uri = "$var…", set_header = {{name, "value with $vars"}, …}}.
local function compile(proxy)
    local skip = {}
    for key, hop in pairs(HOP) do
        skip[key] = hop
    end
    local set = {}
    for _, pair in ipairs(proxy.set_header or { { "Host", "$proxy_host" } }) do
        local name, value = pair[1], pair[2]
        skip[lower(name)] = true
        set[#set + 1] = name .. ": "
        set[#set + 1] = template.compile(value)
    end
    return {
        uri = proxy.uri and template.compile(proxy.uri) or nil,
        set = set, skip = skip,
    }
end

local function program()
    local proxy = phases.app.proxy or {}
    if compiled_for ~= proxy then
        compiled_for, compiled = proxy, compile(proxy)
    end
    return compiled
end

local function default_target(r)
    if not r.uri_changed then
        return r.request_uri
    end
    local path = uri.escape_path(r.uri)
    if r.args and r.args ~= "" then
        return path .. "?" .. r.args
    end
    return path
end

local function write_head(r)
    local p = program()
    local target = p.uri and p.uri(r)
    if not target or target == "" then
        target = default_target(r)
    end
    r.upstream_target = target
    out:reset()
    out:put(r.method, " ", target, " HTTP/1.1\r\n")
    local set = p.set
    for i = 1, #set, 2 do
        local value = set[i + 1](r)
        if value and value ~= "" then
            out:put(set[i], value, "\r\n")
        end
    end
    local h, skip = r.headers, p.skip
    for i = 1, h.n, 3 do
        if not skip[h[i]] then
            out:put(h[i + 1], ": ", h[i + 2], "\r\n")
        end
    end
end

-- May the request be sent again, body included?
function _M.repeatable(r)
    return r.body_data ~= nil or r.body == nil or r.body.received == 0
end

-- Pass the client's body on as it comes. Ends when all is sent, or when either side fails.
local function pump_body(r, connection, seconds)
    local body, stream = r.body, connection.stream
    local chunked = body.chunked
    while true do
        local p, n = request_body.next(r)
        if not p then
            if n then -- the client failed: the upstream must not take a part for the whole
                r.aborted, r.keepalive = true, false
                return connection:close()
            end
            break
        end
        if chunked then
            local frame = ("%x\r\n"):format(n)
            if not stream:send(ffi.cast("const uint8_t *", frame), #frame, seconds) then
                return
            end
        end
        if not stream:send(p, n, seconds) then
            return
        end
        body:advance(n)
        if chunked and not stream:send(ffi.cast("const uint8_t *", "\r\n"), 2, seconds) then
            return
        end
    end
    if chunked then
        stream:send(ffi.cast("const uint8_t *", "0\r\n\r\n"), 5, seconds)
    end
    r.pump = nil
end

local function start_pump(r, connection, seconds)
    local pump = task.new(function()
        return pump_body(r, connection, seconds)
    end, r, function(_, ok, err)
        if not ok then
            require("server.log").err("while sending a request body to upstream: ", err)
            connection:close()
        end
    end)
    r.pump = pump
    task.resume(pump)
    if pump.dead then
        r.pump = nil
    end
end

local function send_out(connection, seconds)
    local stream = connection.stream
    local pointer, size = out:ref()
    local n, err = stream:send_some(pointer, size)
    if n == size then
        return true
    elseif not n and err ~= "again" then
        return nil, err
    end
    local rest = ffi.string(pointer + (n or 0), size - (n or 0))
    return stream:send(ffi.cast("const uint8_t *", rest), #rest, seconds)
end

-- Send r's request over connection; a body that is still arriving is passed on by a task of its own
-- (r.pump), so that an early answer is heard. Returns true, or nil and why not.
function _M.send(r, connection, peer)
    write_head(r)
    local body, data = r.body, r.body_data
    if data then
        out:put("Content-Length: ", #data, "\r\n\r\n", data)
        return send_out(connection, peer.send_timeout)
    elseif not body then
        out:put(r.content_length and "Content-Length: 0\r\n\r\n" or "\r\n")
        return send_out(connection, peer.send_timeout)
    end
    if body.chunked then
        out:put("Transfer-Encoding: chunked\r\n\r\n")
    else
        out:put("Content-Length: ", r.content_length, "\r\n\r\n")
    end
    local ok, err = send_out(connection, peer.send_timeout)
    if ok then
        start_pump(r, connection, peer.send_timeout)
    end
    return ok, err
end

return _M
