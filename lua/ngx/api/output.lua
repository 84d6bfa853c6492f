-- Owns the functions that make a response: ngx.print, say, flush, eof, send_headers. Source: the ngx_lua
-- documentation. Must never run where a response is not to be made: in its filters, in timers.
local argcheck = require "server.argcheck"
local contexts = require "server.contexts"
local current = require "server.current"
local output = require "server.http.output"
local printed = require "ngx.api.printed"

local error, select, type = error, select, type
local fail = argcheck.fail
local text = printed.text

local _M = {}

-- The phases that can make a response. "" is a request's before its first phase.
local MAKERS = {
    server_rewrite = true, rewrite = true, access = true, precontent = true, content = true,
}

-- The running request, which may be answered; raises for the caller's caller. none: what to say before there can
-- be any.
local function request(none)
    local r = current.request
    if not r then
        error(contexts.no_request(none), 3)
    elseif not MAKERS[r.phase] then
        error(contexts.refusal(r), 3)
    end
    return r
end

-- What there is to say when r takes no more output, or nil.
local function refusal(r)
    if r.raw then
        return "raw request socket acquired"
    elseif r.header_sent and r.no_body then
        return "header only"
    elseif r.ended == true then
        return "seen eof"
    end
end

local function write(r, chunk)
    if r.http_minor == 0 and output.hold(r, chunk) then
        return 1
    elseif not r.header_sent then
        output.send_headers(r)
        if r.no_body then -- nothing follows the head: it need not wait
            r.ended = true
            output.flush(r)
            return 1
        end
    end
    if chunk == "" then
        return 1
    end
    if not output.write(r, chunk) then
        return nil, "nginx output filter error"
    end
    return 1
end

-- Returns 1, or nil and an error text.
function _M.print(...)
    local r = request("no request object found")
    local err = refusal(r)
    if err then
        return nil, err
    end
    local chunk = text(...)
    return write(r, chunk)
end

function _M.say(...)
    local r = request("no request object found")
    local err = refusal(r)
    if err then
        return nil, err
    end
    local chunk = text(...)
    return write(r, chunk .. "\n")
end

-- wait: sending waits for the client by itself here, so that it only tells whether there is anything to flush.
-- Returns 1, or nil and an error text.
function _M.flush(...)
    local n, wait = select("#", ...), ...
    if n > 1 then
        error("attempt to pass " .. n .. " arguments, but accepted 0 or 1", 2)
    elseif n == 1 and type(wait) ~= "boolean" then
        fail(1, 1, "boolean expected, got " .. type(wait))
    end
    local r = request("no request found")
    local err = refusal(r)
    if err then
        return nil, err
    elseif r.http10_buffered then
        return nil, "buffering"
    elseif not r.header_sent or r.body_bytes_sent == 0 and not wait and not r.extras then
        return nil, "nothing to flush"
    end
    local ok
    ok, err = output.flush_all(r)
    if not ok then
        return nil, err
    end
    return 1
end

function _M.eof(...)
    if select("#", ...) ~= 0 then
        error("no argument is expected", 2)
    end
    local r = current.request
    if r and r.raw then
        return nil, "raw request socket acquired"
    elseif r and r.ended == true then
        return nil, "seen eof"
    end
    r = request("no request object found")
    if not output.finish(r) then
        return nil, "nginx output filter error"
    end
    return 1
end

function _M.send_headers()
    output.send_headers(request("no request found"))
    return 1
end

return _M
