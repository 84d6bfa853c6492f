-- Owns the connections to upstream servers: opening them, and keeping idle ones for the next request
-- (nginx's upstream keepalive: a bound on all idle ones of a worker, the least recently used goes).
local ffi = require "ffi"
local clock = require "server.clock"
local connect = require "server.connect"
local inputs = require "server.http.input"
local settings = require "server.settings"

local monotonic = clock.monotonic
local setmetatable = setmetatable

local Connection = {}
Connection.__index = Connection

local _M = {}

local idle = {} -- key -> array of connections, the last is the most recently used
local idle_count = 0
local oldest, newest -- of all idle connections, a doubly linked list

local function unlink(connection)
    local older, newer = connection.older, connection.newer
    if older then
        older.newer = newer
    else
        oldest = newer
    end
    if newer then
        newer.older = older
    else
        newest = older
    end
    connection.older, connection.newer = nil, nil
    idle_count = idle_count - 1
    connection.stream.idle = nil
end

local function forget(connection)
    local list = idle[connection.key]
    for i = #list, 1, -1 do
        if list[i] == connection then
            table.remove(list, i)
            break
        end
    end
    if #list == 0 then
        idle[connection.key] = nil
    end
    unlink(connection)
end

local one_byte = ffi.new("uint8_t[1]")

-- Over TLS, bytes may come that are not for us: a session ticket, say.
local function is_quiet(stream)
    if not stream.ssl or stream.read_deadline <= monotonic() then
        return false
    end
    local n, err = stream:recv(one_byte, 1)
    return not n and err == "again"
end

-- An idle connection got bytes, an end or its timeout: each of them ends it.
function Connection:on_idle_event(stream)
    if stream and is_quiet(stream) then
        return
    end
    forget(self)
    self.stream:close()
end

function Connection:close()
    if self.secure then
        self.secure:remember(self.stream)
    end
    self.input:clear()
    self.stream:close()
end

local POOL = 30 -- idle connections that ngx.balancer may have kept where the settings allow none
local FOREVER = 10 * 365 * 86400 -- seconds

-- Keep the connection for reuse, or close it when it may not be. seconds, requests: how long and for how
-- many, as ngx.balancer has them (0: any); nil: as the settings say.
function Connection:keep(seconds, requests)
    local room = settings.upstream_keepalive
    if room == 0 and seconds then
        room = POOL
    end
    local most = requests or settings.upstream_keepalive_requests
    if room == 0 or most > 0 and self.requests >= most
            or self.input.buffer or self.stream.hangup or self.stream.closed then
        return self:close()
    end
    if self.secure then
        self.secure:remember(self.stream)
    end
    if idle_count >= room then
        oldest:on_idle_event()
    end
    local list = idle[self.key]
    if not list then
        list = {}
        idle[self.key] = list
    end
    list[#list + 1] = self
    self.older, self.newer = newest, nil
    if newest then
        newest.newer = self
    else
        oldest = self
    end
    newest = self
    idle_count = idle_count + 1
    self.stream:set_idle(self, seconds == 0 and FOREVER or seconds or settings.upstream_keepalive_timeout)
end

-- What connections have in common that may be taken for each other.
local function key_of(peer, secure)
    local key = secure and secure.key or peer.key
    if peer.server_name or peer.from or peer.pool then
        key = key .. "\0" .. (peer.server_name or "") .. "\0" .. (peer.from and peer.from.text or "") .. "\0"
            .. (peer.pool or "")
    end
    return key
end

-- A connection to a peer (the state of ngx.balancer), an idle one if there is one and fresh is not set. secure: of
-- server.http.upstream_tls, nil: plain. Returns it (its `reused` tells which), or nil, why not, and whether
-- connect() itself said so.
function _M.get(peer, fresh, secure)
    local key, seconds = key_of(peer, secure), peer.connect_timeout
    local list = not fresh and idle[key]
    if list then
        local n = #list
        local connection = list[n]
        list[n] = nil
        if n == 1 then
            idle[key] = nil
        end
        unlink(connection)
        connection.reused = true
        connection.requests = connection.requests + 1
        return connection
    end
    local stream, err, at_once = connect(peer.host, peer.port, seconds, peer.from)
    if not stream then
        return nil, err, at_once
    end
    local connection = setmetatable({
        stream = stream, input = inputs.new(stream), key = key, requests = 1, reused = false, secure = nil,
        older = nil, newer = nil,
    }, Connection)
    if secure then
        return secure:start(connection, seconds)
    end
    return connection
end

-- How many connections are idle now.
function _M.idle_count()
    return idle_count
end

return _M
