-- Owns the way of a response to the client: header filter, body filter, framing. Small pieces are
-- gathered, as nginx postpones them, and go out with one send (server.http.sender).
local body_filter = require "server.http.body_filter"
local buffer = require "string.buffer"
local conditional = require "server.http.conditional"
local exit_request = require "server.exit"
local ffi = require "ffi"
local head = require "server.http.head"
local log = require "server.log"
local phases = require "server.phases"
local sender = require "server.http.sender"
local status = require "server.http.status"

local ffi_string = ffi.string
local filter = body_filter.run
local flush = sender.flush
local run_phase = phases.run
local tostring, ipairs = tostring, ipairs
local sub = string.sub

local SMALLEST_HEAD = 100 -- bytes
local COPY_MAX = 16384 -- a piece up to this size is copied behind the head and goes with it
local KEEP_MAX = 65536 -- bytes; who sent more gives its buffer's memory back

local _M = { flush = flush }

local function count_body(r, size)
    r.body_bytes_sent = r.body_bytes_sent + size
end

-- Put a piece of the body into r.out. What exceeds the Content-Length would be taken for the next
-- response, so it is cut.
local function frame(r, chunk)
    local size = #chunk
    if size == 0 or r.no_body then
        return
    end
    if r.framing == "chunked" then
        count_body(r, size)
        r.out:putf("%x\r\n", size):put(chunk, "\r\n")
        return
    end
    if r.framing == "length" then
        if size > r.left then
            log.warn("the body is longer than its Content-Length: ", size - r.left, " bytes cut off")
            chunk, size = sub(chunk, 1, r.left), r.left
        end
        r.left = r.left - size
    end
    count_body(r, size)
    r.out:put(chunk)
end

local CLEARED = { "content-type", "content-length", "content-encoding", "last-modified", "etag", "accept-ranges" }

local OF_BODY = { "content-type", "content-length", "content-encoding", "accept-ranges" }

-- The statuses of errors after which nginx closes the connection.
_M.CLOSING = { [400] = true, [413] = true, [414] = true, [500] = true, [501] = true }
local CLOSING = _M.CLOSING

-- Make r a response with an error's (or redirect's) page. Returns the page.
local function become_page(r, code, detail)
    r.status, r.http10_buffered = code, nil
    if CLOSING[code] then
        r.keepalive = false
    end
    for _, key in ipairs(CLEARED) do
        r.resp:remove(key)
    end
    if code == 204 or code == 304 or code < 200 then
        return ""
    end
    local page = status.page(code, detail)
    if page == "" then
        r.default_type = nil
    else
        r.resp:add("content-type", "Content-Type", "text/html")
    end
    r.resp:add("content-length", "Content-Length", tostring(#page))
    r.length_first = true
    return page
end

-- The header filter called ngx.exit: its page replaces the body, whatever comes of that.
local function exit_in_filter(r)
    local code = r.filter_exit
    r.filter_exit = nil
    if r.location.error_pages and require("server.http.redirects").has_page(r, code) then
        r.header_sent = false
        return exit_request(code)
    end
    local page = become_page(r, code)
    head.write(r)
    frame(r, page)
    r.ended, r.body_filtered = true, true
end

-- What the request's If-… fields make of a 200 that a content handler gives. Returns a page, or nil.
local function apply_conditions(r)
    if r.status ~= 200 or r.parent or r.upstream_headers and not (r.extras and r.extras.cache) then
        return nil
    end
    local code = conditional.status(r)
    if code == 304 then
        r.status, r.default_type = 304, nil
        for _, key in ipairs(OF_BODY) do
            r.resp:remove(key)
        end
    end
    if code ~= 412 then
        return nil
    end
    r.resp.n = 0
    return become_page(r, 412)
end

-- Run the header filter and write the head, once. The status is r.status, or 200 when nothing set it.
function _M.send_headers(r)
    if r.header_sent then
        return
    end
    if r.status == 0 then
        r.status = 200
    end
    local page = r.conditional and apply_conditions(r)
    if r.phase ~= "header_filter" then
        run_phase(r, "header_filter")
    end
    r.header_sent = true
    if r.filter_exit then
        return exit_in_filter(r)
    end
    r.body_filtered = r.location.body_filter ~= nil and not r.skip_body_filter
    if r.extras and r.extras.gzip then
        require("server.http.gzip").start(r)
    end
    head.write(r)
    if page then
        _M.write(r, page, true)
        r.body_filtered = true -- nothing is passed on past that
    elseif r.settings.postpone_output < SMALLEST_HEAD then
        flush(r)
    end
end

-- Send a piece of the body (a string). last: nothing follows it. Returns true, or nil and why not.
function _M.write(r, chunk, last)
    if not r.header_sent then
        _M.send_headers(r)
    end
    if r.ended then
        return true
    end
    if r.body_filtered and not r.no_body then
        chunk = filter(r, chunk, last or false)
    end
    frame(r, chunk)
    if last then
        r.ended = true
    end
    if #r.out >= r.settings.postpone_output and not r.ended then
        return flush(r)
    end
    return true
end

-- Send a piece of the body where it lies: size bytes at pointer. Returns true, or nil and why not.
function _M.forward(r, pointer, size, last)
    if r.body_filtered then
        local ok, err = _M.write(r, ffi_string(pointer, size), last)
        if ok and r.extras and not last then
            return _M.flush_stream(r)
        end
        return ok, err
    end
    if last then
        r.ended = true
    end
    if r.no_body then
        return true
    end
    local out = r.out
    if r.framing == "chunked" then
        count_body(r, size)
        out:putf("%x\r\n", size):putcdata(pointer, size):put("\r\n")
        return r.ended or flush(r)
    end
    if r.framing == "length" then
        if size > r.left then
            frame(r, ffi_string(pointer, size))
            return flush(r)
        end
        r.left = r.left - size
    end
    count_body(r, size)
    if size <= COPY_MAX then
        out:putcdata(pointer, size)
        return r.ended or flush(r)
    end
    local ok, err = flush(r)
    if not ok then
        return nil, err
    end
    return sender.send(r, pointer, size)
end

-- Send what is gathered, in the compressor too. Returns as flush does.
function _M.flush_all(r)
    local extras = r.extras
    if extras and extras.encoder and not r.ended then
        frame(r, extras.encoder:flush())
    end
    return flush(r)
end

-- Send what a piece of an upstream's response has come to, unless that is of a known length: then it can wait.
function _M.flush_stream(r)
    local encoder = r.extras.encoder
    return not (encoder and encoder.streams) or _M.flush_all(r)
end

-- Hold a piece of the body back until all of it is known, for a client of HTTP/1.0, which has no chunks. From
-- then on the head counts as sent. Returns false when nothing can be held.
function _M.hold(r, chunk)
    local held = r.http10_buffered
    if not held then
        if r.header_sent or r.http_minor ~= 0 or r.parent or r.method == "HEAD" or not r.settings.http10_buffering
                or r.resp:get("content-length") then
            return false
        end
        held = buffer.new()
        r.http10_buffered, r.header_sent = held, true
    end
    held:put(chunk)
    return true
end

local function release(r)
    local text = r.http10_buffered:tostring()
    r.http10_buffered, r.header_sent = nil, false
    r.resp:set("content-length", "Content-Length", tostring(#text))
    r.length_first = true
    return _M.write(r, text)
end

-- End the response: last call of the body filter, last chunk, send. Returns true, or nil and why not.
function _M.finish(r)
    if r.http_minor == 0 and _M.hold(r, "") then
        release(r)
    end
    if not r.header_sent then
        _M.send_headers(r)
    end
    if r.done then
        return flush(r)
    end
    if not r.ended then
        if r.body_filtered and not r.no_body then
            frame(r, filter(r, "", true))
        end
        r.ended = true
    end
    r.done = true
    if r.framing == "chunked" then
        r.out:put("0\r\n\r\n")
    elseif r.framing == "length" and r.left > 0 then
        log.err("the body is shorter than its Content-Length: ", r.left, " bytes are missing")
        r.truncated, r.keepalive = true, false
    end
    local ok, err = flush(r)
    if r.bytes_sent > KEEP_MAX then
        r.out:free()
    end
    return ok, err
end

-- End a subrequest with a status, without a body: what that means is its parent's matter.
function _M.end_subrequest(r, code)
    if r.header_sent then
        return flush(r)
    elseif r.status == 0 then
        r.status = code
    end
    for _, key in ipairs(CLEARED) do
        r.resp:remove(key)
    end
    _M.send_headers(r)
    r.ended = true
end

-- Answer with a page for an error (or a redirect). detail: replaces the reason phrase on it, or nil.
function _M.send_page(r, code, detail)
    local page = become_page(r, code, detail)
    _M.write(r, page, true)
    return _M.finish(r)
end

return _M
