-- Owns the heads of resty.http's messages: writing a request's, reading a response's, framing by their fields.
-- Source: RFC 9112; lua-resty-http's error texts. Must never read or write a body.
local http_headers = require "resty.http_headers"

local concat, insert = table.concat, table.insert
local error, ipairs, pairs, tonumber, tostring, type = error, ipairs, pairs, tonumber, tostring, type
local find, lower, match, sub, upper = string.find, string.lower, string.match, string.sub, string.upper
local encode_args = ngx.encode_args

local VERSIONS = { [1.0] = " HTTP/1.0\r\n", [1.1] = " HTTP/1.1\r\n" }
local EXPECTS_BODY = { POST = true, PUT = true, PATCH = true }

local _M = {}

-- Whether the fields say that the body comes in chunks.
function _M.is_chunked(headers)
    local encoding = headers["Transfer-Encoding"]
    if type(encoding) == "table" then
        encoding = concat(encoding, ",")
    end
    return encoding ~= nil and find(lower(encoding), "chunked", 1, true) ~= nil
end

local function query_of(params)
    local query = params.query or ""
    if type(query) == "table" then
        query = encode_args(query)
    end
    if query == "" or sub(query, 1, 1) == "?" then
        return query
    end
    return "?" .. query
end

-- What may not stand in a target, in a field's name, in its value: it could end the line, or begin another one.
local BAD_TARGET = "[%z\1-\32#<>`]"
local BAD_NAME = "[^%w!#$%%&'*+.^_`|~-]"
local BAD_VALUE = "[%z\1-\8\10-\31\127]"

-- Append the line of a field to parts, which has n. Returns how many it has then, or nil and an error text.
local function add_field(parts, n, name, value)
    value = tostring(value)
    if find(value, BAD_VALUE) then
        return nil, "invalid characters found in header value"
    end
    parts[n + 1], parts[n + 2], parts[n + 3], parts[n + 4] = name, ": ", value, "\r\n"
    return n + 4
end

local function add_fields(parts, n, name, value)
    name = tostring(name)
    if name == "" or find(name, BAD_NAME) then
        return nil, "invalid characters found in header key"
    elseif type(value) ~= "table" then
        return add_field(parts, n, name, value)
    end
    local err
    for _, each in pairs(value) do
        n, err = add_field(parts, n, name, each)
        if not n then
            return nil, err
        end
    end
    return n
end

-- The bytes of a request's head. params: {method, path, query, version, headers}; prefix: before the path.
-- Returns them, or nil and an error text.
function _M.format(params, prefix)
    local path, query = params.path, query_of(params)
    if find(path, BAD_TARGET) then
        return nil, "invalid characters found in path"
    elseif find(query, BAD_TARGET) then
        return nil, "invalid characters found in query"
    end
    local version = VERSIONS[params.version]
        or error("unsupported HTTP version: " .. tostring(params.version), 0)
    local parts = { upper(params.method), " ", prefix or "", path, query, version }
    local n = 6
    for name, value in pairs(params.headers) do
        local more, err = add_fields(parts, n, name, value)
        if not more then
            return nil, err
        end
        n = more
    end
    parts[n + 1] = "\r\n"
    return concat(parts)
end

local function body_length(body)
    if type(body) ~= "table" then
        return #tostring(body)
    end
    local length = 0
    for _, piece in ipairs(body) do
        length = length + (type(piece) == "table" and body_length(piece) or #tostring(piece))
    end
    return length
end

-- Let a request's fields say how long its body is. Returns true, or nil and why that cannot be known.
function _M.frame(headers, method, body)
    if _M.is_chunked(headers) then
        headers["Content-Length"] = nil -- both would let two readers see two messages
    elseif not headers["Content-Length"] then
        if type(body) == "function" then
            return nil, "Request body is a function but a length or chunked encoding is not specified"
        elseif body ~= nil then
            headers["Content-Length"] = body_length(body)
        elseif EXPECTS_BODY[upper(method)] then
            headers["Content-Length"] = 0
        end
    end
    return true
end

-- Read a status line. Returns status, version, reason, or nil, nil, nil and an error text.
function _M.read_status(sock)
    local line, err = sock:receive("*l")
    if not line then
        return nil, nil, nil, err
    end
    local version = match(line, "^HTTP/(%d%.%d)")
    if not version then
        return nil, nil, nil, "couldn't parse HTTP version from response status line: " .. line
    end
    local status = match(line, "^ (%d%d%d)", 9)
    if not status then
        return nil, nil, nil, "couldn't parse status code from response status line: " .. line
    end
    return tonumber(status), tonumber(version), sub(line, 14)
end

local function keep(headers, name, value)
    local present = headers[name]
    if type(present) == "table" then
        insert(present, value)
    elseif present then
        headers[name] = { present, value }
    else
        headers[name] = value
    end
end

-- A line that continues the field before it (obs-fold).
local function continue(headers, name, more)
    local present = headers[name]
    if type(present) == "table" then
        present[#present] = present[#present] .. " " .. more
    else
        headers[name] = present .. " " .. more
    end
end

-- Read fields up to the empty line. Returns a table of resty.http_headers, or nil and an error text.
function _M.read_fields(sock)
    local headers, last = http_headers.new(), nil
    while true do
        local line, err = sock:receive("*l")
        if not line then
            return nil, err
        elseif line == "" then
            return headers
        end
        local name, value = match(line, "^([^:%s]+)%s*:%s*(.-)%s*$")
        if name then
            keep(headers, name, value)
            last = name
        elseif last and match(line, "^[ \t]") then
            continue(headers, last, match(line, "^%s*(.-)%s*$"))
        else
            return nil, "couldn't parse response header line: " .. line
        end
    end
end

-- What a response's Content-Length says. Returns a number, nil when there is none, or false when it is no length.
function _M.content_length(headers)
    local length = headers["Content-Length"]
    if type(length) == "table" then
        for i = 2, #length do
            if length[i] ~= length[1] then
                return false
            end
        end
        length = length[1]
    end
    if not length then
        return nil
    end
    return match(length, "^%d+$") and #length <= 15 and tonumber(length) or false
end

-- Whether a response of this version leaves its connection open.
function _M.keeps_alive(headers, version)
    local connection = headers["Connection"]
    if type(connection) == "table" then
        connection = concat(connection, ",")
    end
    connection = connection and lower(connection) or ""
    if version >= 1.1 then
        return not find(connection, "close", 1, true)
    end
    return find(connection, "keep-alive", 1, true) ~= nil
end

-- Whether a response of this status to a request of this method has a body.
function _M.has_body(method, status)
    return upper(method) ~= "HEAD" and status >= 200 and status ~= 204 and status ~= 304
end

return _M
