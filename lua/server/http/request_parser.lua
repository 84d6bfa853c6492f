-- Owns the parsing of a request head (RFC 9112) into a request, strictly: what two servers could read
-- in two ways is an error, never a guess. Errors carry the status code to answer with.
local ffi = require "ffi"
local conditional = require "server.http.conditional"
local fields = require "server.http.fields"
local host_of = require "server.http.host"
local log = require "server.log"
local uri = require "server.http.uri"

local C = ffi.C
local ffi_string = ffi.string
local parse_fields, drop_underscored = fields.parse, fields.drop_underscored
local split_target, normalize = uri.split, uri.normalize
local byte, find, gmatch, lower = string.byte, string.find, string.gmatch, string.lower
local match, sub = string.match, string.sub
local ipairs, tonumber, min = ipairs, tonumber, math.min


local CR, LF, SPACE, SLASH = 13, 10, 32, 47
local TOKEN = fields.TOKEN

local _M = {}

-- Where the head that begins at p[pos] ends (the offset after its empty line), or nil when it is not
-- all there. length: how many bytes p has.
function _M.head_end(p, pos, length)
    local last = length - 2
    while pos < last do
        local found = C.pygw_memchr(p + pos, LF, last - pos)
        if found == nil then
            return nil
        end
        pos = found - p + 1
        if p[pos] == CR and p[pos + 1] == LF then
            return pos + 2
        end
    end
    return nil
end

-- Skip the empty lines that a client may send before a request line (RFC 9112, section 2.2).
function _M.skip_empty_lines(p, pos, length)
    while pos + 1 < length and p[pos] == CR and p[pos + 1] == LF do
        pos = pos + 2
    end
    return pos
end

local LINE, HEADERS = " while reading client request line", " while reading client request headers"

-- Parse "METHOD SP target SP HTTP/1.x CRLF" at p[pos] into r. line_max: bytes that it may have.
-- Returns the offset of the next line, or nil, a status and what is wrong.
local function request_line(r, p, pos, line_max)
    local begin, start = pos, pos
    while TOKEN[p[pos]] == 1 do
        pos = pos + 1
    end
    if p[pos] ~= SPACE or pos == start then
        return nil, 400, "invalid method" .. LINE
    end
    r.method = ffi_string(p + start, pos - start)
    pos = pos + 1
    start = pos
    while p[pos] > SPACE and p[pos] ~= 127 do
        pos = pos + 1
    end
    if p[pos] ~= SPACE or pos == start then
        return nil, 400, "invalid request" .. LINE
    end
    r.request_uri = ffi_string(p + start, pos - start)
    local version = ffi_string(p + pos + 1, 10)
    if version == "HTTP/1.1\r\n" then
        r.http_minor = 1
    elseif version == "HTTP/1.0\r\n" then
        r.http_minor = 0
    elseif match(version, "^HTTP/%d%.%d\r\n$") then
        return nil, 505, "invalid version" .. LINE
    else
        return nil, 400, "invalid version" .. LINE
    end
    pos = pos + 11
    if pos - begin > line_max then
        return nil, 414, "too long URI" .. LINE
    end
    return pos
end

local special = {}

special["host"] = function(r, value)
    if r.host_header then
        return 400, 'duplicate host header: "Host: ' .. value .. '", previous value: "Host: ' .. r.host_header .. '"'
    end
    r.host_header = value
    r.host = host_of(value)
    if not r.host then
        return 400, "invalid host header"
    end
end

special["content-length"] = function(r, value)
    if r.content_length or not find(value, "^%d+$") or #value > 15 then
        return 400, r.content_length and 'duplicate header line: "Content-Length: ' .. value .. '"'
            or 'invalid "Content-Length" header'
    end
    r.content_length = tonumber(value)
end

special["transfer-encoding"] = function(r, value)
    if r.chunked then
        return 400, 'duplicate header line: "Transfer-Encoding: ' .. value .. '"'
    end
    if lower(value) ~= "chunked" then
        return 501, 'unknown "Transfer-Encoding": "' .. value .. '"'
    end
    r.chunked = true
end

special["connection"] = function(r, value)
    if value == "keep-alive" then
        r.connection_keep_alive = true
        return
    end
    for option in gmatch(lower(value), "[^%s,]+") do
        if option == "close" then
            r.connection_close = true
        elseif option == "keep-alive" then
            r.connection_keep_alive = true
        elseif option ~= "host" then -- a field of this hop, not to be passed on
            r.nominated = r.nominated or {}
            r.nominated[option] = true
        end
    end
end

special["expect"] = function(r, value)
    if lower(value) ~= "100-continue" then
        return 417, 'unknown "Expect": "' .. value .. '"'
    end
    r.expect_continue = r.http_minor == 1
end

for _, key in ipairs(conditional.FIELDS) do
    special[key] = function(r)
        r.conditional = true
    end
end

-- Read the fields that frame and route the message.
local function check_fields(r)
    local h = r.headers
    for i = 1, h.n, 3 do
        local handler = special[h[i]]
        if handler then
            local status, err = handler(r, h[i + 2])
            if status then
                return status, err
            end
        end
    end
    if r.chunked then
        if r.content_length then
            return 400, '"Content-Length" and "Transfer-Encoding" headers at the same time'
        end
        if r.http_minor == 0 then
            return 400, 'HTTP/1.0 request with "Transfer-Encoding" header'
        end
    end
    if r.http_minor == 1 then
        if not r.host_header then
            return 400, 'HTTP/1.1 request without "Host" header'
        end
        r.keepalive = not r.connection_close
    else
        r.keepalive = r.connection_keep_alive and not r.connection_close or false
    end
end

local function check_target(r)
    local target = r.request_uri
    local path, args, host = split_target(target, r.method)
    if not path then
        if r.method == "CONNECT" then
            return 405, "CONNECT method"
        end
        return 400, args
    end
    if path ~= "*" then
        path = normalize(path)
        if not path then
            return 400, "invalid request"
        end
    end
    if r.method == "CONNECT" then
        return 400, "invalid request"
    elseif r.method == "TRACE" then -- it would show a script what is secret to it
        return 405, "TRACE method"
    end
    r.uri, r.args = path, args
    if host then -- only the path is the request's URI from here on, as in nginx
        r.request_uri = sub(target, find(target, "[/?#]", 9) or #target + 1)
        if byte(r.request_uri) ~= SLASH then
            r.request_uri = "/" .. r.request_uri
        end -- an absolute target's host wins over the field (RFC 9112, section 3.2.2)
        r.host_header = host
        r.host = host_of(host)
        if not r.host then
            return 400, "invalid host in request line"
        end
    end
end

_M.TOO_LARGE = "Request Header Or Cookie Too Large"

-- Parse the whole head p[pos..stop) into r. Returns true, or nil, the status to answer, what is wrong ("client
-- sent …"), and what the page shall say, if not the status's reason.
function _M.parse(r, p, pos, stop)
    local settings = r.settings
    local line_max = settings.client_header_line_size
    local next_line, status, err = request_line(r, p, pos, line_max)
    if not next_line then
        return nil, status, err
    end
    local ok, too_long
    ok, err, too_long = parse_fields(p, next_line, stop, r.headers, line_max)
    if not ok then
        return nil, 400, err .. HEADERS, too_long and _M.TOO_LARGE
    end
    if not settings.underscores_in_headers then
        local dropped = drop_underscored(r.headers)
        if dropped then
            log.info('client sent invalid header line: "', dropped, '..."', HEADERS)
        end
    end
    status, err = check_fields(r)
    if not status then
        status, err = check_target(r)
    end
    if status then
        return nil, status, err .. HEADERS
    end
    return true
end

local scratch = {}
local METHOD = "^[%w!#%$%%&'%*%+%-%.%^_`|~]"
local WRONG_METHOD = "invalid method" .. LINE
_M.WRONG_METHOD = WRONG_METHOD

-- Is what came of a request so far none of one: no method begins so?
local function has_wrong_method(head)
    return not find(head, METHOD .. "*$") and not find(head, METHOD .. "+ ")
end
_M.has_wrong_method = has_wrong_method

-- What can be said of a head that is not all there yet, or is too large: as parse() says it, or nil. The answer
-- never depends on how many bytes beyond the first wrong one are there.
function _M.check_partial(settings, p, pos, length)
    local limit, line_max = settings.client_header_size, settings.client_header_line_size
    local head = ffi_string(p + pos, min(length - pos, limit + 1))
    if head == "" or head == "\r" then -- nothing yet, or the beginning of an empty line
        return nil
    elseif has_wrong_method(head) then
        return 400, WRONG_METHOD
    end
    local line_end = find(head, "\r\n", 1, true)
    local bare = find(head, "[^\r]\n")
    if line_end and not (bare and bare < line_end) then
        local next_line, status, err = request_line(scratch, p, pos, line_max)
        if not next_line then
            return status, err
        end
    end
    if bare then
        return 400, "bare LF" .. HEADERS
    elseif not line_end and #head > min(limit, line_max) then
        return 414, "too long URI" .. LINE
    elseif length - pos > limit then
        return 400, "too large request" .. HEADERS, _M.TOO_LARGE
    end
    return nil
end

return _M
