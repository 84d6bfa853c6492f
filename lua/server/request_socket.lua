-- Owns ngx.req.socket: cosockets over the client's connection, either for its request's body alone or (raw) for
-- all that comes and goes from now on.
-- Source: the ngx_lua documentation, "ngx.req.socket".
local closing = require "server.cosocket_closing"
local contexts = require "server.contexts"
local current = require "server.current"
local options = require "server.cosocket_options"
local reading = require "server.cosocket_reading"
local request_body = require "server.http.request_body"
local sender = require "server.http.sender"
local state = require "server.cosocket_state"
local writing = require "server.cosocket_writing"

local error, select, setmetatable = error, select, setmetatable
local min = math.min

-- What a cosocket reads a request's body from: the connection's input, as far as the body goes.
local BodyInput = {}
BodyInput.__index = BodyInput

function BodyInput:peek()
    local input, left = self.input, self.body.left
    local p, n = input:peek()
    if p and left > 0 then
        return p, min(n, left)
    end
end

function BodyInput:advance(n)
    return self.body:advance(n)
end

function BodyInput:unread(bytes)
    local body = self.body
    self.input:unread(bytes)
    body.left, body.received, body.done = body.left + #bytes, body.received - #bytes, false
end

-- Returns 0 where the body ends; nil and "client aborted" where the connection ends before that.
function BodyInput:fill(seconds)
    if self.body.left == 0 then
        return 0
    end
    local n, err = self.input:fill(seconds)
    if n == 0 then
        return nil, "client aborted"
    end
    return n, err
end

-- The end of the request: the connection is not the socket's to close.
local function abandon(self)
    self.connection = nil
end

local BodySocket = {
    receive = reading.receive, receiveany = reading.receiveany, receiveuntil = reading.receiveuntil,
    settimeout = options.settimeout, settimeouts = options.settimeouts,
    setoption = options.setoption, getoption = options.getoption, getfd = options.getfd,
}
BodySocket.__index = BodySocket

local RawSocket = {
    receive = reading.receive, receiveany = reading.receiveany, receiveuntil = reading.receiveuntil,
    settimeout = options.settimeout, settimeouts = options.settimeouts,
    setoption = options.setoption, getoption = options.getoption, getfd = options.getfd,
    send = writing.send,
}
RawSocket.__index = RawSocket
closing.at_end(BodySocket, abandon)
closing.at_end(RawSocket, abandon)

-- User code that extends cosockets finds their metatables where ngx_lua keeps them.
local registry = debug.getregistry()
registry.__tcp_req_cosocket_mt, registry.__tcp_raw_req_cosocket_mt = BodySocket, RawSocket

local function new(r, class, input)
    local self = setmetatable({ used = true, connection = { stream = r.stream, input = input, reused = 0 } }, class)
    closing.register(self)
    return self
end

-- A socket that reads r's body, or nil and why there is none.
local function body_socket(r)
    if r.chunked then
        return nil, "chunked request bodies not supported yet"
    elseif r.body_read then
        return nil, "request body already exists"
    elseif r.body_discarded then
        return nil, "request body discarded"
    elseif not r.body or r.body.done then
        return nil, "no body"
    end
    r.body_read = true
    request_body.invite(r)
    return new(r, BodySocket, setmetatable({ body = r.body, input = r.body.input }, BodyInput))
end

-- A socket over r's connection as it stands, or nil and why not.
local function raw_socket(r)
    if r.body and r.body_read and not r.body.done then
        return nil, "pending request body reading in some other thread"
    elseif r.raw then
        return nil, "duplicate call"
    elseif r.http10_buffered then
        return nil, "http 1.0 buffering"
    end
    sender.send_now(r)
    if #r.out > 0 then
        return nil, "pending data to write"
    end
    r.raw, r.header_sent, r.ended, r.done, r.keepalive = true, true, true, true, false
    local self = new(r, RawSocket, r.conn.input)
    self.at_end = state.settings().check_client_abort and "client aborted" or nil
    return self
end

local PHASES = { server_rewrite = true, rewrite = true, access = true, precontent = true, content = true }

-- ngx.req.socket(raw?): a cosocket that reads the request's body; raw: one that reads and writes the connection.
-- Returns it, or nil and an error text.
return function(...)
    local n = select("#", ...)
    if n > 1 then
        error("expecting 0 or 1 argument, but got " .. n, 2)
    end
    local r = current.request
    if not r then
        error("no request found", 2)
    elseif r.parent then
        error("attempt to read the request body in a subrequest", 2)
    elseif not PHASES[r.phase] then
        error(contexts.refusal(r), 2)
    elseif (...) then
        return raw_socket(r)
    end
    return body_socket(r)
end
