-- Owns the reading of a message body in its three framings (RFC 9112, section 6): by length, chunked,
-- until the peer closes. Hands out pieces where they lie in the input's buffer; nothing is copied.
local ffi = require "ffi"
local fields = require "server.http.fields"
local headers = require "server.http.headers"

local ffi_string = ffi.string
local min = math.min
local setmetatable = setmetatable
local huge = math.huge

local VALUE = fields.VALUE
local CR, LF, SEMICOLON = 13, 10, 59
local MAX_CHUNK_LINE = 4096
local MAX_TRAILER = 16384

local Body = {}
Body.__index = Body

local _M = {}

local HEX = ffi.new("int8_t[256]")
for byte = 0, 255 do
    local digit = byte < 128 and tonumber(string.char(byte), 16)
    HEX[byte] = digit and string.char(byte):find("%x") and digit or -1
end

-- Make a body anew: one that arrives on input. framing: "length" (then length is its size in bytes),
-- "chunked" or "close". left: bytes left of the body or of the present chunk; behind: those that follow a
-- body that was shortened. Returns the body.
local function reset(self, input, framing, length)
    self.input = input
    self.chunked = framing == "chunked"
    self.until_close = framing == "close"
    self.left = framing == "length" and length or framing == "close" and huge or 0
    self.behind = 0
    self.first_chunk = true
    self.done = framing == "length" and length == 0
    self.trailers = nil
    self.malformed = false
    self.received = 0
    return self
end
_M.reset = reset

-- A new body; arguments as of reset().
function _M.new(input, framing, length)
    return reset(setmetatable({}, Body), input, framing, length)
end

-- Have at least n unused bytes in the buffer. Returns true, or nil and why not.
local function need(input, n, seconds)
    while not input.buffer or input.len - input.pos < n do
        local got, err = input:fill(seconds)
        if not got then
            return nil, err
        end
        if got == 0 then
            return nil, "closed"
        end
    end
    return true
end

-- The length of the line that begins at the input's position, without its CRLF.
local function line_length(input, limit, seconds)
    local length = 0
    while true do
        local ok, err = need(input, length + 1, seconds)
        if not ok then
            return nil, err
        end
        local byte = input.buffer[input.pos + length]
        if byte == CR then
            ok, err = need(input, length + 2, seconds)
            if not ok then
                return nil, err
            end
            if input.buffer[input.pos + length + 1] ~= LF then
                return nil, "invalid chunk"
            end
            return length
        elseif byte == LF or length >= limit then
            return nil, "invalid chunk"
        end
        length = length + 1
    end
end

local function read_trailers(self, seconds)
    local input = self.input
    local total = 0
    local block = {}
    while true do
        local length, err = line_length(input, MAX_TRAILER, seconds)
        if not length then
            return nil, err
        end
        block[#block + 1] = ffi_string(input.buffer + input.pos, length + 2)
        input:advance(length + 2)
        total = total + length + 2
        if length == 0 then
            break
        elseif total > MAX_TRAILER then
            return nil, "invalid chunk"
        end
    end
    if #block > 1 then
        local text = table.concat(block)
        self.trailers = headers.new()
        self.held = text -- a pointer into it does not keep it from the collector
        local ok = fields.parse(ffi.cast("const uint8_t *", text), 0, #text, self.trailers)
        self.held = nil
        if not ok then
            return nil, "invalid chunk"
        end
    end
    return true
end

-- Read the line that opens the next chunk. Returns true, or nil and why not.
local function next_chunk(self, seconds)
    local input = self.input
    if not self.first_chunk then
        local ok, err = need(input, 2, seconds)
        if not ok then
            return nil, err
        end
        local p = input.buffer + input.pos
        if p[0] ~= CR or p[1] ~= LF then
            return nil, "invalid chunk"
        end
        input:advance(2)
    end
    self.first_chunk = false
    local length, err = line_length(input, MAX_CHUNK_LINE, seconds)
    if not length then
        return nil, err
    end
    local p = input.buffer + input.pos
    local size, i = 0, 0
    while i < length and HEX[p[i]] >= 0 do
        size = size * 16 + HEX[p[i]]
        i = i + 1
    end
    if i == 0 or i > 12 or (i < length and p[i] ~= SEMICOLON) then
        return nil, "invalid chunk"
    end
    while i < length do -- an extension: ignored, but no place for control bytes
        if VALUE[p[i]] == 0 then
            return nil, "invalid chunk"
        end
        i = i + 1
    end
    input:advance(length + 2)
    self.left = size
    if size == 0 then
        local ok
        ok, err = read_trailers(self, seconds)
        if not ok then
            return nil, err
        end
        self.done = true
    end
    return true
end

-- The next piece: a pointer and a length, valid until advance(); waits up to `seconds` for it.
-- Returns nil at the end; nil and "timeout", "closed", "invalid chunk" or an error text when it fails.
function Body:next(seconds)
    if self.done then
        return nil
    end
    local input = self.input
    if self.chunked and self.left == 0 then
        if self.malformed then
            return nil, "invalid chunk"
        end
        local ok, err = next_chunk(self, seconds)
        if not ok then
            self.malformed = err == "invalid chunk"
            return nil, err
        end
        if self.done then
            return nil
        end
    end
    if not input.buffer then
        local n, err = input:fill(seconds)
        if not n then
            return nil, err
        end
        if n == 0 then
            if self.until_close then
                self.done = true
                return nil
            end
            return nil, "closed"
        end
    end
    return input.buffer + input.pos, min(input.len - input.pos, self.left)
end

-- Mark n bytes of the present piece as used.
function Body:advance(n)
    self.input:advance(n)
    self.received = self.received + n
    local left = self.left - n
    self.left = left
    if left == 0 and not self.chunked then
        self.done = true
    end
end

-- Let the body, of a known length, end after n more bytes at most; what follows is still there for rest().
function Body:shorten(n)
    if n < self.left then
        self.behind = self.behind + self.left - n
        self.left, self.done = n, n == 0
    end
end

-- Go on behind the end that shorten() made.
function Body:rest()
    if self.behind > 0 then
        self.left, self.behind, self.done = self.left + self.behind, 0, false
    end
end

-- Read all that is left as one string. limit: bytes at most. Returns it, or nil and why not ("too large", …).
function Body:read_all(limit, seconds)
    local pieces = {}
    local total = 0
    while true do
        local p, n = self:next(seconds)
        if not p then
            if n then
                return nil, n
            end
            return table.concat(pieces)
        end
        total = total + n
        if total > limit then
            return nil, "too large"
        end
        pieces[#pieces + 1] = ffi_string(p, n)
        self:advance(n)
    end
end

return _M
