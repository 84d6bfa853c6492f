-- Owns the parsing of an upstream's response head (RFC 9112) and what follows for its body.
local ffi = require "ffi"
local fields = require "server.http.fields"
local request_parser = require "server.http.request_parser"

local ffi_string = ffi.string
local parse_fields = fields.parse
local head_end = request_parser.head_end
local find, gmatch, lower, tonumber = string.find, string.gmatch, string.lower, tonumber

local SPACE, CR, LF = 32, 13, 10

local _M = {}

local function digit(byte)
    return byte >= 48 and byte <= 57
end

-- Parse "HTTP/1.x NNN reason CRLF". Returns the offset of the next line, the status and the minor version, or nil.
local function status_line(p, pos, stop)
    local version = ffi_string(p + pos, 7)
    local minor = p[pos + 7] - 48
    if version ~= "HTTP/1." or minor < 0 or minor > 9 or p[pos + 8] ~= SPACE then
        return nil
    end
    local a, b, c = p[pos + 9], p[pos + 10], p[pos + 11]
    if not (digit(a) and digit(b) and digit(c)) or a == 48 then
        return nil
    end
    local after = pos + 12
    if p[after] ~= SPACE and p[after] ~= CR then
        return nil
    end
    while p[after] ~= CR and after < stop do
        after = after + 1
    end
    if p[after + 1] ~= LF then
        return nil
    end
    return after + 2, (a - 48) * 100 + (b - 48) * 10 + (c - 48), minor
end

-- Read one response head from input into `into` (Headers; its `size` becomes the head's in bytes). Returns a
-- status and the minor version; or nil and "timeout", "closed", "invalid header", "header too large" or an error text.
local function read(input, into, limit, seconds)
    local p = input.buffer
    if p then
        local stop = head_end(p, input.pos, input.len)
        if stop and stop - input.pos > limit then
            return nil, "header too large"
        elseif stop then
            local fields_at, code, minor = status_line(p, input.pos, stop)
            if not fields_at or not parse_fields(p, fields_at, stop, into) then
                return nil, "invalid header"
            end
            into.size = stop - input.pos
            input:advance(into.size)
            return code, minor
        end
        local held = input.len - input.pos
        if held > limit then
            return nil, "header too large"
        elseif find(ffi_string(p + input.pos, held), "[^\r]\n") then
            return nil, "invalid header" -- lines that end in a bare LF would never show their end
        end
    end
    local n, err = input:fill(seconds)
    if not n then
        return nil, err
    elseif n == 0 then
        return nil, "closed"
    end
    return read(input, into, limit, seconds)
end
_M.read = read

-- Lengths met so far, since a pattern match costs more than all the rest here. Bounded.
local lengths, lengths_n = {}, 0

local function length_of(text)
    local length = lengths[text]
    if not length then
        length = #text <= 15 and find(text, "^%d+$") and tonumber(text) or nil
        if length and lengths_n < 4096 then
            lengths_n = lengths_n + 1
            lengths[text] = length
        end
    end
    return length
end

local function connection_options(value, keep, nominated)
    for option in gmatch(lower(value), "[^%s,]+") do
        if option == "close" then
            keep = false
        elseif option == "keep-alive" then
            keep = true
        else
            nominated = nominated or {}
            nominated[option] = true
        end
    end
    return keep, nominated
end

-- How the body of a response is framed: "none", "length" and its size, "chunked" or "close"; nil and why
-- when the head contradicts itself. Third result: may the connection be kept (or why not)? Fourth: a set
-- of the names that Connection nominates as fields of the hop, or nil.
function _M.framing(code, minor, headers, method)
    local keep = minor >= 1
    local length, chunked, nominated
    for i = 1, headers.n, 3 do
        local key = headers[i]
        if key == "content-length" then
            local value = length_of(headers[i + 2])
            if not value or length then
                return nil, nil, "invalid Content-Length"
            end
            length = value
        elseif key == "transfer-encoding" then
            if lower(headers[i + 2]) ~= "chunked" or chunked then
                return nil, nil, "unsupported Transfer-Encoding"
            end
            chunked = true
        elseif key == "connection" then
            local value = headers[i + 2]
            if value == "keep-alive" then
                keep = true
            else
                keep, nominated = connection_options(value, keep, nominated)
            end
        end
    end
    if method == "HEAD" or code == 204 or code == 304 then
        return "none", 0, keep, nominated
    elseif chunked then
        if length then
            return nil, nil, "both Transfer-Encoding and Content-Length"
        end
        return "chunked", nil, keep and minor >= 1, nominated
    elseif length then
        return "length", length, keep, nominated
    end
    return "close", nil, false, nominated
end

return _M
