-- Owns the reading of memcached's answers: each reader takes the socket and returns what the command returns.
-- Source: memcached's protocol.txt.
local find, match, sub = string.find, string.match, string.sub
local insert = table.insert

local _M = {}

-- Receive a line, or size bytes. What may still come after a timeout would be taken for another answer.
local function receive(sock, size)
    local data, err
    if size then
        data, err = sock:receive(size)
    else
        data, err = sock:receive()
    end
    if err == "timeout" then
        sock:close()
    end
    return data, err
end

-- A reader of an answer of one line: returns 1 when that is `good` (or `fine`), else nil and the line.
local function expecting(good, fine)
    return function(sock)
        local line, err = receive(sock)
        if not line then
            return nil, err
        elseif line == good or line == fine then
            return 1
        end
        return nil, line
    end
end

_M.stored, _M.ok, _M.deleted = expecting("STORED"), expecting("OK"), expecting("DELETED")
_M.touched = expecting("TOUCHED", "STORED") -- the latter from couchbase's proxy

-- Read the next value of an answer to get or gets. Returns key, data, flags and the cas number (gets); nothing at
-- the end; or nil and an error text.
local function read_value(sock)
    local line, err = receive(sock)
    if not line then
        return nil, err
    elseif line == "END" then
        return nil
    end
    local key, flags, size, cas = match(line, "^VALUE (%S+) (%d+) (%d+) ?(%d*)$")
    if not key then
        return nil, line
    end
    local data
    data, err = receive(sock, size + 2)
    if not data then
        return nil, err
    end
    return key, sub(data, 1, -3), flags, cas ~= "" and cas or nil
end

-- The end of an answer that holds one value at most. Returns true, or nil and an error text.
local function read_end(sock)
    local line, err = receive(sock)
    if line == "END" then
        return true
    end
    return nil, err or line
end

local function read_one(sock)
    local key, data, flags, cas = read_value(sock)
    if not key then
        return nil, data
    end
    local ok, err = read_end(sock)
    if not ok then
        return nil, err
    end
    return data, nil, flags, cas
end

-- Returns the value and its flags; three nils when there is none; nil, nil and an error text.
function _M.get(sock)
    local data, err, flags = read_one(sock)
    return data, flags, err
end

-- The same with the cas number third; the error text is fourth.
function _M.gets(sock)
    local data, err, flags, cas = read_one(sock)
    return data, flags, cas, err
end

-- Returns a table of key -> {value, flags, cas number}, or nil and an error text. client: unescapes the keys.
function _M.many(sock, client)
    local results = {}
    while true do
        local key, data, flags, cas = read_value(sock)
        if not key then
            if data then
                return nil, data
            end
            return results
        end
        results[client.unescape_key(key)] = { data, flags, cas }
    end
end

function _M.number(sock)
    local line, err = receive(sock)
    if line and not match(line, "^%d+$") then
        return nil, line
    end
    return line, err
end

function _M.stats(sock)
    local lines = {}
    while true do
        local line, err = receive(sock)
        if not line then
            return nil, err
        elseif line == "END" then
            return lines
        elseif find(line, "ERROR", 1, true) then
            return nil, line
        end
        insert(lines, line)
    end
end

function _M.version(sock)
    local line, err = receive(sock)
    if not line then
        return nil, err
    end
    local version = match(line, "^VERSION (.+)$")
    return version, not version and line or nil
end

return _M
