-- Owns the way of a response to the client: header filter, head, body filter, framing, sending.
-- Small pieces are gathered, as nginx postpones them, and go out with one send.
local ffi = require "ffi"
local clock = require "server.clock"
local phases = require "server.phases"
local settings = require "server.settings"
local status = require "server.http.status"

local ffi_string = ffi.string
local status_line, has_body = status.line, status.has_body
local os_date, floor = os.date, math.floor
local run_phase = phases.run
local tostring, type, concat = tostring, type, table.concat

local POSTPONE = 1460 -- bytes, nginx's postpone_output
local COPY_MAX = 16384 -- a piece up to this size is copied behind the head and goes with it

local _M = {}

local date_second, date_text = -1, ""

local function date()
    local second = floor(clock.now())
    if second ~= date_second then
        date_second = second
        date_text = os_date("!%a, %d %b %Y %H:%M:%S GMT", second)
    end
    return date_text
end

-- Fields that this file writes itself, whatever the application put there.
local OWN = { ["connection"] = true, ["transfer-encoding"] = true, ["keep-alive"] = true }

-- Decide how the body is delimited and write the head into r.out.
local function write_head(r)
    local out, resp = r.out, r.resp
    local code = r.status
    local length, typed, server, dated = false, false, false, false
    out:put(status_line(code))
    for i = 1, resp.n, 3 do
        local key = resp[i]
        if not OWN[key] then
            out:put(resp[i + 1], ": ", resp[i + 2], "\r\n")
            if key == "content-length" then
                length = true
            elseif key == "content-type" then
                typed = true
            elseif key == "server" then
                server = true
            elseif key == "date" then
                dated = true
            end
        end
    end
    if not server then
        out:put("Server: ", settings.server_tokens, "\r\n")
    end
    if not dated then
        out:put("Date: ", date(), "\r\n")
    end
    if not has_body(code, r.method) then
        r.no_body = true
    elseif length then
        r.framing = "length"
    elseif r.http_minor == 1 then
        r.framing = "chunked"
        out:put("Transfer-Encoding: chunked\r\n")
    else
        r.framing = "close"
        r.keepalive = false
    end
    if not typed and r.default_type and not r.no_body then
        out:put("Content-Type: ", r.default_type, "\r\n")
    end
    if r.upgraded then
        out:put("Connection: upgrade\r\n\r\n")
    elseif r.keepalive then
        out:put("Connection: keep-alive\r\n\r\n")
    else
        out:put("Connection: close\r\n\r\n")
    end
end

-- Run the header filter and write the head, once. The status is r.status, or 200 when nothing set it.
function _M.send_headers(r)
    if r.header_sent then
        return
    end
    if r.status == 0 then
        r.status = 200
    end
    if r.phase ~= "header_filter" then
        run_phase(r, "header_filter")
    end
    r.header_sent = true
    r.body_filtered = phases.app.body_filter ~= nil and not r.skip_body_filter
    write_head(r)
end

-- Send what is gathered. Returns true, or nil and why not; then the client is gone.
local function flush(r)
    local out = r.out
    local pointer, size = out:ref()
    if size == 0 then
        return true
    end
    if r.aborted then
        out:reset()
        return nil, "client aborted"
    end
    local ok, err = r.stream:send(pointer, size, settings.send_timeout)
    r.bytes_sent = r.bytes_sent + size
    out:reset()
    if not ok then
        r.aborted, r.keepalive = true, false
        return nil, err
    end
    return true
end
_M.flush = flush

local function frame(r, chunk)
    local size = #chunk
    if size == 0 or r.no_body then
        return
    end
    r.body_bytes_sent = r.body_bytes_sent + size
    if r.framing == "chunked" then
        r.out:putf("%x\r\n", size):put(chunk, "\r\n")
    else
        r.out:put(chunk)
    end
end

local function filter(r, chunk, last)
    r.arg1, r.arg2 = chunk, last
    run_phase(r, "body_filter")
    local filtered = r.arg1
    if type(filtered) == "table" then
        filtered = concat(filtered)
    end
    if r.arg2 and not last then
        r.ended = true -- the filter cut the body here
    end
    return filtered == nil and "" or tostring(filtered)
end

-- Send a piece of the body (a string). last: nothing follows it. Returns true, or nil and why not.
function _M.write(r, chunk, last)
    if not r.header_sent then
        _M.send_headers(r)
    end
    if r.ended then
        return true
    end
    if r.body_filtered then
        chunk = filter(r, chunk, last or false)
    end
    frame(r, chunk)
    if last then
        r.ended = true
    end
    if #r.out >= POSTPONE and not r.ended then
        return flush(r)
    end
    return true
end

-- Send a piece of the body where it lies: size bytes at pointer. Returns true, or nil and why not.
function _M.forward(r, pointer, size, last)
    if r.body_filtered then
        return _M.write(r, ffi_string(pointer, size), last)
    end
    if last then
        r.ended = true
    end
    if r.no_body then
        return true
    end
    r.body_bytes_sent = r.body_bytes_sent + size
    local out = r.out
    if r.framing == "chunked" then
        out:putf("%x\r\n", size):putcdata(pointer, size):put("\r\n")
        return r.ended or flush(r)
    end
    if size <= COPY_MAX then
        out:putcdata(pointer, size)
        return r.ended or flush(r)
    end
    local ok, err = flush(r)
    if not ok then
        return nil, err
    end
    ok, err = r.stream:send(pointer, size, settings.send_timeout)
    r.bytes_sent = r.bytes_sent + size
    if not ok then
        r.aborted, r.keepalive = true, false
        return nil, err
    end
    return true
end

-- End the response: last call of the body filter, last chunk, send. Returns true, or nil and why not.
function _M.finish(r)
    if not r.header_sent then
        _M.send_headers(r)
    end
    if not r.ended then
        if r.body_filtered then
            frame(r, filter(r, "", true))
        end
        r.ended = true
    end
    if r.framing == "chunked" and not r.no_body then
        r.out:put("0\r\n\r\n")
    end
    return flush(r)
end

-- Answer with a page for an error (or a redirect). detail: replaces the reason phrase on it, or nil.
function _M.send_page(r, code, detail)
    r.status = code
    if code == 204 or code == 304 or code < 200 then
        return _M.finish(r)
    end
    local page = status.page(code, detail)
    r.resp:remove("content-type")
    r.resp:set("content-type", "Content-Type", "text/html")
    r.resp:set("content-length", "Content-Length", tostring(#page))
    _M.send_headers(r)
    _M.write(r, page, true)
    return _M.finish(r)
end

return _M
