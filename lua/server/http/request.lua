-- Owns the request: the table that every ngx.* function reads. One per connection, made new for each
-- request by reset(), since requests of a connection never overlap.
local bodies = require "server.http.body"
local clock = require "server.clock"
local headers = require "server.http.headers"

local new_tab = require "table.new"

local now = clock.now
local pairs = pairs

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
    r.content_length, r.chunked, r.expect_continue = nil, false, false
    r.connection_close, r.connection_keep_alive, r.keepalive, r.nominated = false, false, false, nil
    r.headers.n = 0
    r.body, r.body_data, r.body_read, r.body_discarded = nil, nil, false, false
    r.body_file, r.body_draft = nil, nil
    r.start_time = now()
    -- what goes
    r.status = 0
    r.resp.n = 0
    r.header_sent, r.framing, r.no_body = false, nil, false
    r.default_type = "text/plain"
    r.bytes_sent, r.body_bytes_sent = 0, 0
    r.body_filtered, r.skip_body_filter, r.ended, r.done = false, false, false, false
    r.aborted, r.truncated, r.upgraded, r.raw = false, false, false, false
    r.arg1, r.arg2 = nil, nil
    -- the upstream
    r.peer, r.balancer, r.upstream_headers, r.upstream_status = nil, nil, nil, nil
    r.upstream_addr, r.upstream_target, r.upstream_connection, r.pump = nil, nil, nil, nil
    r.pump_failure, r.body_failure = nil, nil
    r.upstream_connect_time, r.upstream_header_time, r.upstream_response_time = nil, nil, nil
    -- the run
    r.phase, r.stage = "", ""
    r.ctx, r.vars, r.threads, r.request_id, r.exit_code = nil, nil, nil, nil, nil
    r.python_id, r.processes = nil, nil
    -- where it is: r.server, r.location and r.settings stand until the next one's are known
    r.internal, r.turns, r.captures = false, 0, nil
    r.error_page, r.error_status, r.pending = false, nil, 0
end
_M.reset = reset

-- A request for connection conn, which came to conn.site.
function _M.new(conn)
    local r = new_tab(0, SLOTS)
    local site = conn.site
    r.main, r.home, r.server = r, site.home, site.default
    r.location = site.home or site.default.outer
    r.settings = r.location.settings
    for name, value in pairs({
        conn = conn, stream = conn.stream, connection = conn.serial, task = conn.task,
        remote_addr = conn.remote_addr, remote_port = conn.remote_port,
        headers = headers.new(), resp = headers.new(), received = headers.new(), out = conn.out,
        response_body = bodies.new(nil, "length", 0),
    }) do
        r[name] = value
    end
    reset(r)
    return r
end

return _M
