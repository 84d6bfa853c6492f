-- Owns the reading of requests off a client connection: waiting for a head, refusing what is malformed,
-- too large or too late, and getting rid of what a refused client still sends.
local cdefs = require "server.cdefs"
local clock = require "server.clock"
local current = require "server.current"
local bodies = require "server.http.body"
local ffi = require "ffi"
local handler = require "server.http.handler"
local line_feeds = require "server.http.line_feeds"
local log = require "server.log"
local parser = require "server.http.request_parser"
local requests = require "server.http.request"

local C, cast = ffi.C, ffi.cast
local parse, head_end, skip_empty_lines = parser.parse, parser.head_end, parser.skip_empty_lines
local check_partial = parser.check_partial
local reset = requests.reset
local min = math.min

local LF = 10
local TOO_MANY_EMPTY = "client sent too many empty lines while reading client request line"
local TOO_LONG_URI = "client sent too long URI while reading client request line"
local TOO_LARGE_HEAD = "client sent too large request while reading client request headers"

local _M = {}

-- Shut down politely: what the client is still sending must not turn our answer into a reset.
function _M.linger(conn)
    if conn.stream.ssl then
        conn.stream:say_goodbye()
    end
    C.shutdown(conn.stream.fd, cdefs.SHUT_WR)
    local settings = conn.request.settings
    local input, deadline = conn.input, clock.monotonic() + settings.lingering_time
    repeat
        input:clear()
        local left = deadline - clock.monotonic()
        local n = left > 0 and input:fill(min(left, settings.lingering_timeout)) or 0
    until n == 0
end

-- Answer a request that could not be read, or may not be answered otherwise, and give the connection up.
-- why: for the log; detail: replaces the title of the page, or nil. Returns false.
local function refuse(conn, r, status, why, detail)
    log.info(why)
    r.keepalive = false
    r.method = r.method or "GET"
    handler.refuse(r, status, detail)
    if not r.aborted then
        _M.linger(conn)
    end
    return false
end

_M.refuse = refuse

-- Parse the head p[pos..stop), with which the input's first `used` bytes are used.
local function parse_head(conn, r, p, pos, stop, used)
    local ok, status, err, detail = parse(r, p, pos, stop)
    conn.input:advance(used)
    if ok then
        conn.waiting = false
        return r
    end
    return refuse(conn, r, status, "client sent " .. err, detail)
end

-- try_parse() where lines may end in a bare LF.
local function try_parse_leniently(conn, r)
    local input, limit = conn.input, r.settings.client_header_size
    local size = input.len - input.pos
    local before, raw, head = line_feeds(input.buffer + input.pos, size)
    local part = raw and #raw or size - before
    if before > limit then
        return refuse(conn, r, 400, TOO_MANY_EMPTY)
    elseif part > r.settings.client_header_line_size
            and C.pygw_memchr(input.buffer + input.pos + before, LF, part) == nil then
        return refuse(conn, r, 414, TOO_LONG_URI)
    elseif part > limit then
        return refuse(conn, r, 400, TOO_LARGE_HEAD, parser.TOO_LARGE)
    elseif not raw then
        if parser.has_wrong_method(ffi.string(input.buffer + input.pos + before, part)) then
            return refuse(conn, r, 400, "client sent " .. parser.WRONG_METHOD)
        end
        return nil
    end
    conn.head:reset():put(raw)
    r.head_size = #raw
    conn.held = head -- a pointer into it does not keep it from the collector
    local found = parse_head(conn, r, cast("const uint8_t *", head), 0, #head, before + #raw)
    conn.held = nil
    return found
end

-- Look at the head that lies in the input, as far as it is there. Returns the request when it is whole,
-- false when it was refused, nil when more must come.
local function try_parse(conn, r)
    local input, settings = conn.input, r.settings
    if settings.bare_line_feeds then
        return try_parse_leniently(conn, r)
    end
    local p, begin = input.buffer, input.pos
    local pos = skip_empty_lines(p, begin, input.len)
    local stop = head_end(p, pos, input.len)
    if pos - begin > settings.client_header_size then
        return refuse(conn, r, 400, TOO_MANY_EMPTY)
    elseif not stop or stop - pos > settings.client_header_size then
        local status, err, detail = check_partial(settings, p, pos, input.len)
        return status and refuse(conn, r, status, "client sent " .. err, detail)
    end
    conn.head:reset():putcdata(p + pos, stop - pos) -- what is read of it may be changed
    r.head_size = stop - pos
    return parse_head(conn, r, p, pos, stop, stop - begin)
end

-- Read the next request's head. Returns the request, or nil when the connection is to be closed.
function _M.read(conn)
    local input, r = conn.input, conn.request
    reset(r)
    conn.head:reset()
    conn.task.request = r
    current.request = r
    r.pipelined = input.buffer ~= nil and conn.requests > 0
    local deadline -- the head as a whole must come in time, not just its next byte
    while true do
        local seconds
        if input.buffer then
            local found = try_parse(conn, r)
            if found ~= nil then
                return found or nil
            end
            conn.waiting = false
            local now = clock.monotonic()
            deadline = deadline or now + r.settings.client_header_timeout
            seconds = deadline - now
        else
            conn.waiting = true
            seconds = conn.requests > 0 and r.settings.keepalive_timeout or r.settings.client_header_timeout
        end
        local n, err = input:fill(seconds)
        if not n or n == 0 then
            if err == "timeout" and deadline then
                refuse(conn, r, 408, "client timed out (110: Connection timed out) while reading client request "
                    .. "headers")
            elseif err == "full" then
                refuse(conn, r, 400, TOO_LARGE_HEAD, parser.TOO_LARGE)
            end
            return nil
        end
    end
end

-- Give r its body. Whether it is too large, its location says.
function _M.open_body(conn, r)
    local length = r.content_length
    if r.chunked then
        r.body = bodies.new(conn.input, "chunked")
    elseif length and length > 0 then
        r.body = bodies.new(conn.input, "length", length)
    end
end

return _M
