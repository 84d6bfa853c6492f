-- Owns the writing of a response's head: the order of its fields, those that the server itself gives,
-- and how the body is delimited.
local buffer = require "string.buffer"
local clean = require("server.http.headers").clean
local clock = require "server.clock"
local settings = require "server.settings"
local status = require "server.http.status"

local status_line, has_body = status.line, status.has_body
local os_date, floor = os.date, math.floor
local find, lower, tonumber = string.find, string.lower, tonumber

local _M = {}

local own_second, own_fields = -1, ""

-- The two fields that stand in every head, made once a second.
local function server_and_date()
    local second = floor(clock.now())
    if second ~= own_second then
        own_second = second
        own_fields = "Server: " .. settings.server_tokens .. "\r\nDate: "
            .. os_date("!%a, %d %b %Y %H:%M:%S GMT", second) .. "\r\n"
    end
    return own_fields
end

-- Fields that have a place of their own in the head, or none: this file writes them.
local TYPE, LENGTH, SERVER, DATE, CONNECTION, LOCATION, NEVER = 1, 2, 3, 4, 5, 6, 7
local OWN = {
    ["content-type"] = TYPE, ["content-length"] = LENGTH, ["server"] = SERVER, ["date"] = DATE,
    ["connection"] = CONNECTION, ["location"] = LOCATION, ["transfer-encoding"] = NEVER, ["keep-alive"] = NEVER,
}

local function custom_line(r)
    return "HTTP/1.1 " .. r.status .. " " .. clean(r.reason) .. "\r\n"
end

local others = buffer.new(1024) -- written and used without a wait in between, so one is enough

-- Server and Date when the application set one of them, or took it away ("").
local function put_own(out, server, date)
    if server ~= "" then
        out:put("Server: ", server or settings.server_tokens, "\r\n")
    end
    if date ~= "" then
        out:put("Date: ", date or os_date("!%a, %d %b %Y %H:%M:%S GMT", floor(clock.now())), "\r\n")
    end
end

-- The Content-Length that text says, or nil where it cannot stand.
local function length_of(r, text)
    local length = tonumber(text)
    return length and length >= 0 and r.status ~= 204 and r.status >= 200 and length or nil
end

-- How the body is delimited; writes the field that says so unless it stands among the others. length: the one
-- given, or nil.
local function put_framing(r, out, length)
    if length and r.length_first then
        out:put("Content-Length: ", length, "\r\n")
    end
    if r.status == 101 and not r.upgraded then -- the application speaks another protocol from here on
        r.framing = "close"
        r.keepalive = false
    elseif not has_body(r.status, r.method) then
        r.no_body = true
    elseif length then
        r.framing, r.left = "length", length
    elseif r.http_minor == 1 then
        r.framing = "chunked"
        out:put("Transfer-Encoding: chunked\r\n")
    else
        r.framing = "close"
        r.keepalive = false
    end
end

-- Write the head into r.out, in nginx's order; a subrequest has none.
function _M.write(r)
    if r.parent then
        r.framing, r.no_body = "close", not has_body(r.status, r.method)
        return
    end
    local out, resp = r.out, r.resp
    local before = #out
    local content_type, length, server, date = r.default_type, nil, nil, nil
    others:reset()
    for i = 1, resp.n, 3 do
        local own = OWN[resp[i]]
        if not own then
            others:put(resp[i + 1], ": ", resp[i + 2], "\r\n")
        elseif own == TYPE then
            content_type = resp[i + 2]
        elseif own == LENGTH then
            length = length_of(r, resp[i + 2])
            if length and not r.length_first then
                others:put(resp[i + 1], ": ", resp[i + 2], "\r\n")
            end
        elseif own == LOCATION then -- what filters see is what they may change
            others:put(resp[i + 1], ": ", r.moved_to or resp[i + 2], "\r\n")
        elseif own == SERVER then
            server = resp[i + 2]
        elseif own == DATE then
            date = resp[i + 2]
        elseif own == CONNECTION and find(lower(resp[i + 2]), "close", 1, true) then
            r.keepalive = false
        end
    end
    out:put(r.reason and custom_line(r) or status_line(r.status))
    if server or date then
        put_own(out, server, date)
    else
        out:put(server_and_date())
    end
    if content_type and r.status ~= 204 and r.status ~= 304 then
        out:put("Content-Type: ", content_type, "\r\n")
    end
    put_framing(r, out, length)
    if r.upgraded then
        out:put("Connection: upgrade\r\nUpgrade: ", r.upgraded, "\r\n")
    elseif r.status == 101 then
        out:put("Connection: upgrade\r\n")
    elseif r.keepalive then
        out:put("Connection: keep-alive\r\n")
    else
        out:put("Connection: close\r\n")
    end
    out:put(others, "\r\n")
    r.header_size = #out - before
end

return _M
