-- Owns WebSocket frames: reading, making and sending them. Must never know whether it serves a client or a server.
-- Source: RFC 6455, section 5; functions and texts of lua-resty-websocket 0.13.
local bit = require "bit"
local ffi = require "ffi"
local new_tab = require "table.new"
local random = require "resty.random"

local band, bor, bxor, rshift = bit.band, bit.bor, bit.bxor, bit.rshift
local byte, char, sub = string.byte, string.char, string.sub
local copy, ffi_new, ffi_string = ffi.copy, ffi.new, ffi.string
local tostring, type = tostring, type

local _M = { _VERSION = "0.13", new_tab = new_tab }

local FIN, RESERVED, OPCODE, MASKED, LENGTH = 0x80, 0x70, 0x0f, 0x80, 0x7f
local CONTROL, CLOSE = 0x8, 0x8
local LENGTH_16, LENGTH_64 = 126, 127
local MAX_CONTROL = 125
local KEY_SIZE = 4
local MAX_LENGTH = 0x7fffffff

local TYPES = {
    [0x0] = "continuation", [0x1] = "text", [0x2] = "binary", [CLOSE] = "close", [0x9] = "ping", [0xa] = "pong",
}

-- data with each byte changed by the key's (4 bytes), or changed back.
local function mask(data, key)
    local size = #data
    local buffer = ffi_new("uint8_t[?]", size)
    copy(buffer, data, size)
    local a, b, c, d = byte(key, 1, KEY_SIZE)
    local whole = size - size % KEY_SIZE
    for i = 0, whole - 1, KEY_SIZE do
        buffer[i] = bxor(buffer[i], a)
        buffer[i + 1] = bxor(buffer[i + 1], b)
        buffer[i + 2] = bxor(buffer[i + 2], c)
        buffer[i + 3] = bxor(buffer[i + 3], d)
    end
    for i = whole, size - 1 do
        buffer[i] = bxor(buffer[i], byte(key, i - whole + 1))
    end
    return ffi_string(buffer, size)
end

-- The next n bytes of a frame. frame: {text = what of it has come, used = how much of that was looked at}, so that
-- a read that timed out can be taken up again. Returns them, or nil and an error text.
local function read(sock, frame, n, what)
    local missing = frame.used + n - #frame.text
    if missing > 0 then
        local data, err, partial = sock:receive(missing)
        if not data then
            frame.text = frame.text .. (partial or "")
            return nil, "failed to " .. what .. ": " .. (err or "unknown")
        end
        frame.text = frame.text .. data
    end
    frame.used = frame.used + n
    return sub(frame.text, frame.used - n + 1, frame.used)
end

-- The length of the payload, of which `length` stands in the second byte. Returns it, or nil and an error text.
local function read_length(sock, frame, length)
    if length < LENGTH_16 then
        return length
    elseif length == LENGTH_16 then
        local data, err = read(sock, frame, 2, "receive the 2 byte payload length")
        if not data then
            return nil, err
        end
        local high, low = byte(data, 1, 2)
        return high * 256 + low
    end
    local data, err = read(sock, frame, 8, "receive the 8 byte payload length")
    if not data then
        return nil, err
    end
    local total = 0
    for i = 1, 8 do
        total = total * 256 + byte(data, i)
    end
    if total > MAX_LENGTH then
        return nil, "payload len too large"
    end
    return total
end

-- Why no frame may begin with these two bytes, or nil.
local function bad_head(first, second, force_masking)
    local opcode = band(first, OPCODE)
    if band(first, RESERVED) ~= 0 then
        return "bad RSV1, RSV2, or RSV3 bits"
    elseif opcode >= 0x3 and opcode <= 0x7 then
        return "reserved non-control frames"
    elseif opcode >= 0xb then
        return "reserved control frames"
    elseif force_masking and band(second, MASKED) == 0 then
        return "frame unmasked"
    end
end

-- Why a frame of that kind and length may not be, or nil.
local function bad_length(fin, opcode, length, limit)
    if band(opcode, CONTROL) ~= 0 then
        if length > MAX_CONTROL then
            return "too long payload for control frame"
        elseif not fin then
            return "fragmented control frame"
        end
    end
    if length > limit then
        return "exceeding max payload len"
    end
end

-- What recv_frame returns for a close frame with that payload.
local function close_frame(payload)
    if payload == "" then
        return "", "close", nil
    elseif #payload < 2 then
        return nil, nil, "close frame with a body must carry a 2-byte status code"
    end
    local high, low = byte(payload, 1, 2)
    return sub(payload, 3), "close", high * 256 + low
end

-- The payload, unmasked. Returns it, or nil and an error text.
local function read_payload(sock, frame, length, masked)
    local size = masked and length + KEY_SIZE or length
    local data, err = read(sock, frame, size, "read masking-len and payload")
    if data and masked then
        data = mask(sub(data, KEY_SIZE + 1), data)
    end
    return data, err
end

-- Receive a frame. max_payload_len: bytes of payload that are let through; force_masking: it has to be masked;
-- frame: nil, or a table {text = "", used = 0} that keeps what came of a frame when the time was over.
-- Returns the payload, the frame's type and, for one that others complete, "again"; for a close frame the message,
-- "close" and the status code (nil when there is none); or nil, nil and an error text.
function _M.recv_frame(sock, max_payload_len, force_masking, frame)
    frame = frame or { text = "" }
    frame.used = 0
    local head, err = read(sock, frame, 2, "receive the first 2 bytes")
    if not head then
        return nil, nil, err
    end
    local first, second = byte(head, 1, 2)
    err = bad_head(first, second, force_masking)
    if err then
        return nil, nil, err
    end
    local length
    length, err = read_length(sock, frame, band(second, LENGTH))
    if not length then
        return nil, nil, err
    end
    local fin, opcode = band(first, FIN) ~= 0, band(first, OPCODE)
    err = bad_length(fin, opcode, length, max_payload_len)
    if err then
        return nil, nil, err
    end
    local payload
    payload, err = read_payload(sock, frame, length, band(second, MASKED) ~= 0)
    if not payload then
        return nil, nil, err
    end
    frame.text = ""
    if opcode == CLOSE then
        return close_frame(payload)
    end
    return payload, TYPES[opcode], not fin and "again" or nil
end

local function bytes_of(number, count)
    local text = ""
    for _ = 1, count do
        text = char(number % 256) .. text
        number = (number - number % 256) / 256
    end
    return text
end

-- Make a frame. fin: whether it is the last of its message; masking: whether to mask it.
-- Returns its bytes, or nil and "payload too big".
function _M.build_frame(fin, opcode, payload_len, payload, masking)
    local first = fin and bor(FIN, opcode) or opcode
    local second, extra = payload_len, ""
    if payload_len > 65535 then
        if payload_len > MAX_LENGTH then
            return nil, "payload too big"
        end
        second, extra = LENGTH_64, bytes_of(payload_len, 8)
    elseif payload_len > MAX_CONTROL then
        second, extra = LENGTH_16, char(rshift(payload_len, 8), band(payload_len, 255))
    end
    if not masking then
        return char(first, second) .. extra .. payload
    end
    local key = random.bytes(KEY_SIZE)
    return char(first, bor(second, MASKED)) .. extra .. key .. mask(payload, key)
end

-- Send a frame. payload: a string, or something that tostring makes one; nil: empty.
-- Returns the count of bytes sent, or nil and an error text.
function _M.send_frame(sock, fin, opcode, payload, max_payload_len, masking)
    if payload == nil then
        payload = ""
    elseif type(payload) ~= "string" then
        payload = tostring(payload)
    end
    local length = #payload
    if length > max_payload_len then
        return nil, "payload too big"
    elseif band(opcode, CONTROL) ~= 0 then
        if length > MAX_CONTROL then
            return nil, "too much payload for control frame"
        elseif not fin then
            return nil, "fragmented control frame"
        end
    end
    local frame, err = _M.build_frame(fin, opcode, length, payload, masking)
    if not frame then
        return nil, "failed to build frame: " .. err
    end
    local sent
    sent, err = sock:send(frame)
    if not sent then
        return nil, "failed to send frame: " .. err
    end
    return sent
end

return _M
