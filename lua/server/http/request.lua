-- Owns the request: the table that every ngx.* function reads. One per connection, made new for each
-- request by reset(), since requests of a connection never overlap.
local bodies = require "server.http.body"
local buffer = require "string.buffer"
local clock = require "server.clock"
local headers = require "server.http.headers"

local new_tab = require "table.new"

local now = clock.now
local ipairs, pairs = ipairs, pairs

-- Room for every field that a request ever has: a table that is full is built anew without its nil
-- fields, and would be so again and again.
local SLOTS = 128

local _M = {}

-- Make r a request of which nothing is known yet.
local function reset(r)
    -- what came
    r.method, r.request_uri, r.uri, r.args, r.uri_changed = nil, nil, nil, nil, false
    r.http_minor = 1
    r.host, r.host_header = nil, nil
    r.content_length, r.chunked, r.expect_continue, r.conditional = nil, false, false, false
    r.connection_close, r.connection_keep_alive, r.keepalive, r.nominated = false, false, false, nil
    r.headers.n, r.head_size = 0, 0
    r.body, r.body_data, r.body_read, r.body_discarded = nil, nil, false, false
    r.body_file, r.body_draft = nil, nil
    r.start_time = now()
    -- what goes
    r.status, r.reason = 0, nil
    r.resp.n = 0
    r.header_sent, r.framing, r.no_body = false, nil, false
    r.default_type = "text/plain"
    r.bytes_sent, r.header_size, r.body_bytes_sent, r.limit_rate = 0, 0, 0, nil
    r.body_filtered, r.skip_body_filter, r.ended, r.done = false, false, false, false
    r.aborted, r.truncated, r.upgraded, r.raw = false, false, false, false
    r.http10_buffered, r.length_first, r.arg1, r.arg2 = nil, false, nil, nil
    r.end_hidden = false
    -- the upstream
    r.peer, r.balancer, r.upstream_headers, r.upstream_status = nil, nil, nil, nil
    r.upstream_addr, r.upstream_target, r.upstream_connection, r.pump = nil, nil, nil, nil
    r.pump_failure, r.body_failure, r.upstream_tls = nil, nil, nil
    r.upstream_connect_time, r.upstream_header_time, r.upstream_response_time = nil, nil, nil
    -- the run
    r.phase, r.stage = "", ""
    r.ctx, r.vars, r.threads, r.request_id, r.exit_code = nil, nil, nil, nil, nil
    r.python_id, r.processes, r.abort, r.watching = nil, nil, nil, false
    -- where it is: r.server, r.location and r.settings stand until the next one's are known
    r.internal, r.turns, r.captures, r.moved_to = false, 0, nil, nil
    r.error_page, r.status_held, r.pending, r.failures = false, false, 0, 0
    if r.extras then
        r.extras, r.remote_addr, r.remote_port = nil, r.conn.remote_addr, r.conn.remote_port
    end
end
_M.reset = reset

-- What few requests have, made when one has it: `extras`, nil or a table of
--   gzip {level}, encoder, ratio        of server.http.gzip
--   peer_addr, peer_port                who sent it, where remote_addr is whom it was sent for
--   max_body                            instead of the setting client_max_body_size
--   oversized                           its body is longer than that setting allows, which is to be looked at later
--   mirrored, buffered                  it is mirrored; its body is read before an upstream is asked
--   cached, cache, cache_status         of server.http.cache: asked for, its dealings, what came of it
--   method                              that its upstream is asked with, if it is not the client's
--   held                                a file to drop() when the request is over
function _M.extras_of(r)
    local extras = r.extras
    if not extras then
        extras = {}
        r.extras = extras
    end
    return extras
end

local function make(conn, stream, out)
    local r = new_tab(0, SLOTS)
    for name, value in pairs({
        conn = conn, stream = stream, connection = conn.serial,
        remote_addr = conn.remote_addr, remote_port = conn.remote_port,
        headers = headers.new(), resp = headers.new(), received = headers.new(), out = out,
        response_body = bodies.new(nil, "length", 0),
    }) do
        r[name] = value
    end
    reset(r)
    return r
end

-- A request for connection conn, which came to conn.site.
function _M.new(conn)
    local r = make(conn, conn.stream, conn.out)
    local site = conn.site
    r.main, r.home, r.server, r.task = r, site.home, site.default, conn.task
    r.location = site.home or site.default.outer
    r.settings = r.location.settings
    return r
end

-- What a subrequest has from its parent.
local INHERITED = { "main", "server", "http_minor", "host", "host_header", "nominated", "request_uri", "head_size",
    "remote_addr", "remote_port" }

-- A subrequest of parent, a GET without a body. stream: where its output goes.
function _M.of_parent(parent, stream)
    local r = make(parent.conn, stream, buffer.new())
    for _, name in ipairs(INHERITED) do
        r[name] = parent[name]
    end
    r.parent, r.depth, r.internal = parent, (parent.depth or 0) + 1, true
    r.method, r.uri_changed, r.body_read = "GET", true, true
    r.location = r.server.outer
    r.settings = r.location.settings
    local from, into = parent.headers, r.headers
    for i = 1, from.n do
        into[i] = from[i]
    end
    into.n = from.n
    return r
end

return _M
