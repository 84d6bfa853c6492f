-- Owns what goes over the wire to redis: commands out, replies in (RESP 2, redis.io/docs/reference/protocol-spec).
-- Must never know what a command means.
local null = ngx.null

local byte = string.byte
local select = select
local sub = string.sub
local tonumber = tonumber
local tostring = tostring

local STATUS, FAILURE, INTEGER, BULK, ARRAY = byte("+-:$*", 1, -1)

local _M = {}

-- Append a command to out, an array of texts, and return the length of out. A number may stand there as it is.
function _M.encode(out, ...)
    local count, n = select("#", ...), #out
    out[n + 1], out[n + 2], out[n + 3] = "*", count, "\r\n"
    n = n + 3
    for i = 1, count do
        local argument = tostring((select(i, ...)))
        out[n + 1], out[n + 2], out[n + 3] = "$", #argument, "\r\n"
        out[n + 4], out[n + 5] = argument, "\r\n"
        n = n + 5
    end
    return n
end

local function read_bulk(sock, size)
    if size < 0 then
        return null
    end
    local data, err = sock:receive(size)
    if not data then
        return nil, err
    end
    local line_end
    line_end, err = sock:receive(2)
    if not line_end then
        return nil, err
    end
    return data
end

local read

local function read_array(sock, count)
    if count < 0 then
        return null
    end
    local values = {}
    for i = 1, count do
        local value, err = read(sock)
        if value == nil then
            return nil, err
        elseif value == false then
            value = { false, err }
        end
        values[i] = value
    end
    return values
end

-- Returns one reply: a text, a number, an array (an error within it is {false, text}) or ngx.null; false and
-- a text for an error of redis; nil and a text for one of the connection. Third: true when the time ran out
-- inside a reply, after which nothing more can be understood.
function read(sock)
    local line, err = sock:receive()
    if not line then
        return nil, err
    end
    local kind, rest = byte(line), sub(line, 2)
    if kind == STATUS then
        return rest
    elseif kind == INTEGER then
        return tonumber(rest)
    elseif kind == FAILURE then
        return false, rest
    end
    local value
    if kind == BULK then
        value, err = read_bulk(sock, tonumber(rest))
    elseif kind == ARRAY then
        value, err = read_array(sock, tonumber(rest))
    else
        return nil, 'unknown prefix: "' .. tostring(kind) .. '"', true
    end
    return value, err, value == nil
end
_M.read = read

return _M
