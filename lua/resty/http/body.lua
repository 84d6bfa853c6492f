-- Owns resty.http's bodies: readers of each framing, trailers, and sending. Source: RFC 9112, section 6 and 7; the
-- documentation of lua-resty-http. A reader is a function(size) -> piece; nil at the end; nil, err, partial. Once it
-- has ended, it says so. Must never look at a message's head.
local head = require "resty.http.head"

local concat = table.concat
local match, tonumber, type = string.match, tonumber, type
local pairs = pairs

local DEAD = "can't resume a dead coroutine" -- of readers that have ended, as lua-resty-http says it

local _M = {}

local function positive(size, default)
    size = tonumber(size or default)
    return size and size > 0 and size or nil
end

-- A reader that tells the end once and afterwards that there is nothing more. read(size) -> piece, err, partial;
-- it is not called again after it returned no piece.
local function once(read, default)
    local ended = false
    return function(size)
        if ended then
            return nil, DEAD
        end
        local piece, err, partial = read(positive(size, default))
        if not piece then
            ended = true
            return nil, err, partial
        end
        return piece
    end
end

local function sized(sock, length)
    local remaining = length
    return function(size)
        if remaining == 0 then
            return nil
        end
        local wanted = size and size < remaining and size or remaining
        remaining = remaining - wanted
        return sock:receive(wanted)
    end
end

-- The body that ends with its connection: pieces as they come, of at most `size` bytes.
local function unsized(sock)
    local ended = false
    return function(size)
        if ended then
            return nil
        elseif not size then
            ended = true
            return sock:receive("*a")
        end
        local piece, err = sock:receiveany(size)
        if not piece and err == "closed" then
            ended = true
            return nil
        end
        return piece, err
    end
end

-- The length of the next chunk; or nil and an error text.
local function chunk_length(sock)
    local line, err = sock:receive("*l")
    if not line then
        return nil, err
    end
    local digits = match(line, "^(%x+)[ \t]*$") or match(line, "^(%x+)[ \t]*;")
    if not digits or #digits > 12 then
        return nil, "unable to read chunksize"
    end
    return tonumber(digits, 16)
end

local function end_of_chunk(sock)
    local line, err = sock:receive("*l")
    if not line then
        return nil, err
    end
    return line == "" or nil, "unable to read chunksize"
end

local function chunked(sock, trailing)
    local remaining = 0
    return function(size)
        local err, ok
        if remaining == 0 then
            remaining, err = chunk_length(sock)
            if not remaining then
                return nil, err
            elseif remaining == 0 then
                trailing.fields, err = head.read_fields(sock)
                return nil, not trailing.fields and err or nil
            end
        end
        local wanted = size and size < remaining and size or remaining
        remaining = remaining - wanted
        local piece, why, partial = sock:receive(wanted)
        if piece and remaining == 0 then
            ok, err = end_of_chunk(sock)
            if not ok then
                return nil, err, piece
            end
        end
        return piece, why, partial
    end
end

-- A reader of `length` bytes, or up to the connection's end when it is nil. default: the size of pieces.
function _M.reader(sock, length, default)
    return once(length and sized(sock, length) or unsized(sock), default)
end

-- A reader of chunks. trailing: a table whose `fields` are the trailers, once the body was read.
function _M.chunked_reader(sock, default, trailing)
    return once(chunked(sock, trailing or {}), default)
end

function _M.no_reader()
    return nil
end

-- Of a response: its whole body, or nil, an error text and what came so far.
function _M.read_all(res)
    local reader = res.body_reader
    if not reader then
        return nil, "no body to be read"
    end
    local pieces, n = {}, 0
    while true do
        local piece, err, partial = reader()
        if err then
            pieces[n + 1] = partial
            return nil, err, concat(pieces)
        elseif not piece then
            return concat(pieces)
        end
        n = n + 1
        pieces[n] = piece
    end
end

-- Of a response: add the trailers to its headers, where these do not have them. Returns nothing, or nil, "no trailers".
function _M.read_trailers(res)
    local reader = res.trailer_reader
    if not reader then
        return nil, "no trailers"
    end
    local headers = res.headers
    for name, value in pairs(reader() or {}) do
        if headers[name] == nil then
            headers[name] = value
        end
    end
end

-- Send a body: a string, a table of them, or an iterator. Returns true, or nil, an error text, the iterator's rest.
function _M.send(sock, body)
    if type(body) ~= "function" then
        if body == nil then
            return true
        end
        local sent, err = sock:send(body)
        return sent and true, err
    end
    while true do
        local piece, err, partial = body()
        if piece then
            local sent
            sent, err = sock:send(piece)
            if not sent then
                return nil, err
            end
        elseif err ~= nil then
            return nil, err, partial
        else
            return true
        end
    end
end

return _M
