-- Owns the reading of a multipart/form-data request body as it arrives, token by token.
-- Source: RFC 7578, RFC 2046 section 5.1; the documentation of lua-resty-upload 0.11.
local lower, match = string.lower, string.match
local setmetatable, type = setmetatable, type

local _M = { _VERSION = "0.11" }
local mt = { __index = _M }

local CHUNK_SIZE, LINE_SIZE = 4096, 512 -- bytes

-- A request's body that is kept while it is read, so that an upstream sees it too.
local Keeper = {}
Keeper.__index = Keeper

-- Nothing more is read.
function Keeper:finish()
    if not self.finished then
        self.finished = true
        ngx.req.finish_body()
    end
end

function Keeper:settimeout(milliseconds)
    return self.sock:settimeout(milliseconds)
end

function Keeper:receive(size)
    local data, err, partial = self.sock:receive(size)
    ngx.req.append_body(data or partial or "")
    if not data then
        self:finish()
    end
    return data, err, partial
end

function Keeper:receiveuntil(pattern)
    local read = self.sock:receiveuntil(pattern)
    return function(size)
        local data, err, partial = read(size)
        if data or partial then
            ngx.req.append_body(data or partial)
        end
        if err then
            self:finish()
        elseif not data then -- the pattern itself was read over
            ngx.req.append_body(pattern)
        end
        return data, err, partial
    end
end

local function boundary_of(content_type)
    if type(content_type) == "table" then
        content_type = content_type[1]
    end
    if not content_type then
        return nil
    end
    local start = match(lower(content_type), ";%s*boundary=()")
    if not start then
        return nil
    end
    return match(content_type, '^"([^"]+)"', start) or match(content_type, '^([^",;]+)', start)
end

-- A reader of the running request's body. chunk_size: bytes of a "body" token at most (4096); max_line_size: bytes of
-- a part's field (512); preserve_body: keep the body for the upstream. Returns it, or nil and an error text.
function _M.new(_, chunk_size, max_line_size, preserve_body)
    local boundary = boundary_of(ngx.var.content_type)
    if not boundary then
        return nil, "no boundary defined in Content-Type"
    end
    local sock, err = ngx.req.socket()
    if not sock then
        return nil, err
    end
    if preserve_body then
        ngx.req.init_body(chunk_size)
        sock = setmetatable({ sock = sock, finished = false }, Keeper)
    end
    return setmetatable({
        sock = sock, size = chunk_size or CHUNK_SIZE, line_size = max_line_size or LINE_SIZE, boundary = boundary,
        read_to_boundary = sock:receiveuntil("--" .. boundary), read_line = sock:receiveuntil("\r\n"),
        state = "preamble",
    }, mt)
end

-- milliseconds: of each wait for the client.
function _M.set_timeout(self, milliseconds)
    if not self.sock then
        return nil, "not initialized"
    end
    return self.sock:settimeout(milliseconds)
end

-- Returns a line without its end, or nil and an error text.
local function line_of(self)
    local line, err = self.read_line(self.line_size)
    if not line then
        return nil, err or "closed" -- the line before ended in this very place
    end
    local more
    more, err = self.read_line(1)
    if more then
        if self.sock.finish then
            self.sock:finish()
        end
        return nil, "line too long: " .. line .. more .. "..."
    elseif err then
        return nil, err
    end
    return line
end

-- Read over what follows the last part. Returns true, or nil and an error text.
local function discard_rest(self)
    while true do
        local data, err = self.sock:receive(self.size)
        if err and err ~= "closed" then
            return nil, err
        elseif not data then
            return true
        end
    end
end

-- Behind a boundary: "--" ends the body, a new part begins behind the line's end.
local function end_part(self)
    local mark, err = self.sock:receive(2)
    if not mark then
        return nil, nil, err
    elseif mark == "--" then
        local ok, why = discard_rest(self)
        if not ok then
            return nil, nil, why
        end
        self.state = "eof"
        return "part_end"
    end
    if mark ~= "\r\n" then
        local line, why = line_of(self)
        if not line then
            return nil, nil, why
        end
    end
    self.state = "header"
    return "part_end"
end

local readers = {}

function readers.body(self)
    local chunk, err = self.read_to_boundary(self.size)
    if err then
        return nil, nil, err
    elseif not chunk then
        return end_part(self)
    end
    return "body", chunk
end

function readers.header(self)
    local line, err = line_of(self)
    if not line then
        return nil, nil, err
    elseif line == "" then -- behind the last one
        self.state = "body"
        return readers.body(self)
    end
    local key, value = match(line, "([^: \t]+)%s*:%s*(.+)")
    if not key then
        return "header", line
    end
    return "header", { key, value, line }
end

function readers.preamble(self)
    local chunk, err
    repeat
        chunk, err = self.read_to_boundary(self.size)
    until not chunk
    if err then
        return nil, nil, err
    end
    local line
    line, err = line_of(self)
    if not line then
        return nil, nil, err
    end
    self.read_to_boundary = self.sock:receiveuntil("\r\n--" .. self.boundary)
    self.state = "header"
    return readers.header(self)
end

function readers.eof()
    return "eof", nil
end

-- The next token: "header" and {name, value, line} (or the line, when it is no field), "body" and bytes, "part_end",
-- "eof"; or nil, nil and an error text.
function _M.read(self)
    return readers[self.state](self)
end

return _M
