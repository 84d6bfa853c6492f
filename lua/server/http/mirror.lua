-- Owns copies of requests for another server, whose answers nobody waits for (nginx's `mirror`): what is sent is
-- written at once, the rest is the matter of a task of its own, which the request does not know and may outlive.
local bodies = require "server.http.body"
local body_file = require "server.http.body_file"
local errors = require "server.errors"
local headers = require "server.http.headers"
local log = require "server.log"
local proxy_errors = require "server.http.proxy_errors"
local proxy_request = require "server.http.proxy_request"
local resolving = require "server.resolving"
local response_parser = require "server.http.response_parser"
local task = require "server.task"
local template = require "server.http.template"
local upstreams = require "server.http.upstreams"
local uri = require "server.http.uri"

local find, match = string.find, string.match
local setmetatable, tonumber = setmetatable, tonumber

local PORTS = { http = 80, https = 443 }

local _M = {}

-- mirror: {url (with $variables; empty: no copy), set_header as of proxy}.
local function compile(mirror)
    return {
        url = template.compile(mirror.url),
        location = { proxy = { set_header = mirror.set_header, ssl_server_name = true } },
    }
end

local function plan_of(location)
    local plan = location.mirror_plan
    if not plan then
        plan = compile(location.proxy.mirror)
        location.mirror_plan = plan
    end
    return plan
end

-- "https://[::1]:8443/path?query". Returns scheme, host, port and the rest; nil when it is none.
local function split(url)
    local scheme, authority, target = match(url, "^(https?)://([^/?]+)(.*)$")
    if not scheme then
        return nil
    end
    local host, port = match(authority, "^(.-):(%d+)$")
    if not host or match(host, "^%[[^%]]*$") then
        host, port = authority, PORTS[scheme]
    end
    return scheme, host, tonumber(port), find(target, "^/") and target or "/" .. target
end

-- The head of the copy as text; `seen`: what it differs in from r.
local function head_of(r, plan, target)
    local seen = setmetatable({
        location = plan.location, request_uri = uri.clean_target(target), uri_changed = false,
    }, { __index = r })
    return proxy_request.head(seen)
end

-- Read and forget the answer.
local function read_answer(copy, connection)
    local settings, found = copy.settings, headers.new()
    local code, minor
    repeat
        code, minor = response_parser.read(connection.input, found, settings.proxy_header_size, copy.peer.read_timeout)
        if not code then
            return nil, minor
        end
    until code >= 200
    local framing, length = response_parser.framing(code, minor, found, copy.method)
    if not framing then
        return nil, "invalid header"
    elseif framing == "none" then
        return true
    end
    local body = bodies.new(connection.input, framing, length)
    while true do
        local p, n = body:next(copy.peer.read_timeout)
        if not p then
            return n == nil, n
        end
        body:advance(n)
    end
end

local function send(copy, connection)
    local seconds = copy.peer.send_timeout
    local ok, err = connection.stream:send_text(copy.text, seconds)
    if ok and copy.file then
        ok, err = copy.file:send(connection.stream, seconds)
    end
    return ok, err
end

-- Send the copy and wait for the end of its answer.
local function deliver(copy)
    local peer = copy.peer
    local host, port = resolving.resolve(copy.host, peer.port, copy.settings)
    if not host then
        return log.err(port)
    end
    peer.host, peer.port = host, port
    peer.key = host .. ":" .. port
    peer.name = peer.key
    local secure = peer.secure and require("server.http.upstream_tls").of(copy, peer) or nil
    local connection, err, at_once = upstreams.get(peer, true, secure)
    if not connection then
        return proxy_errors.report(peer, err, false, at_once)
    end
    local ok
    ok, err = send(copy, connection)
    if ok then
        ok, err = read_answer(copy, connection)
    end
    connection:close()
    if not ok then
        return proxy_errors.report(peer, err, true)
    end
end

-- Let go of the file of a copy.
local function close_file(copy)
    if copy.file then
        copy.file:close()
    end
end

local function on_done(self, ok, err)
    if not ok then
        errors.report(self, "while mirroring a request: ", err)
    end
    return close_file(self.copy)
end

-- The body of r, which has been read: text that follows the head, and a file or nil.
local function body_of(r)
    local data, file = r.body_data, r.body_file
    if data then
        return "Content-Length: " .. #data .. "\r\n\r\n" .. data
    elseif file then
        return "Content-Length: " .. file.size .. "\r\n\r\n", body_file.open(file.path, false)
    end
    return r.content_length and "Content-Length: 0\r\n\r\n" or "\r\n"
end

-- Send a copy of r, whose body has been read, to where its location's proxy.mirror says. Returns at once.
function _M.start(r)
    local mirror = r.location.proxy and r.location.proxy.mirror
    local plan = mirror and plan_of(r.location)
    local url = plan and plan.url(r)
    if not url or url == "" then
        return
    end
    local scheme, host, port, target = split(url)
    if not scheme then
        return log.err('invalid URL prefix in "', url, '"')
    end
    r.extras.mirrored = nil
    local settings = r.settings
    local body, file = body_of(r)
    local copy = {
        method = r.method, location = plan.location, settings = settings, host = host, file = file,
        text = head_of(r, plan, target) .. "Connection: close\r\n" .. body,
        peer = {
            port = port, server_name = host, secure = scheme == "https",
            connect_timeout = settings.mirror_connect_timeout, send_timeout = settings.mirror_send_timeout,
            read_timeout = settings.mirror_read_timeout,
        },
    }
    local runner = task.new(function()
        return deliver(copy)
    end, nil, on_done)
    runner.copy = copy
    return task.run_in_turn(runner)
end

return _M
