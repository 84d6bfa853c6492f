-- Owns what both ends of a WebSocket connection have in common: limits, timeouts, frames of each kind.
-- Source: the documentation of lua-resty-websocket 0.13.
local bit = require "bit"
local protocol = require "resty.websocket.protocol"

local band, rshift = bit.band, bit.rshift
local char, find = string.char, string.find
local type = type

local _M = {}

local MAX_PAYLOAD = 65535
local MAX_CODE = 0x7fff
local CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xa

-- Give the methods of an end to `class`.
function _M.install(class)
    for _, name in ipairs({
        "set_timeout", "recv_frame", "send_frame", "send_continue", "send_text", "send_binary", "send_close",
        "send_ping", "send_pong",
    }) do
        class[name] = _M[name]
    end
end

-- The state of an end. options: {max_payload_len = bytes (65535), max_recv_len, max_send_len = the same for one
-- way, timeout = milliseconds}; masks: whether to mask what is sent; wants_masks: whether what comes has to be.
function _M.new(sock, options, masks, wants_masks)
    local limit = options.max_payload_len or MAX_PAYLOAD
    if options.timeout then
        sock:settimeout(options.timeout)
    end
    return {
        sock = sock, masks = masks, wants_masks = wants_masks, frame = { text = "", used = 0 },
        max_recv_len = options.max_recv_len or limit, max_send_len = options.max_send_len or limit,
    }
end

-- milliseconds: of each operation, from now on.
function _M.set_timeout(self, milliseconds)
    if not self.sock then
        return nil, nil, "not initialized yet"
    end
    return self.sock:settimeout(milliseconds)
end

-- Receive a frame. Returns as resty.websocket.protocol's; after any error but a timeout nothing more can be received.
function _M.recv_frame(self)
    if self.fatal then
        return nil, nil, "fatal error already happened"
    elseif not self.sock then
        return nil, nil, "not initialized yet"
    end
    local data, kind, err = protocol.recv_frame(self.sock, self.max_recv_len, self.wants_masks, self.frame)
    if not data and not find(err, ": timeout", 1, true) then
        self.fatal = true
    end
    return data, kind, err
end

-- Send a frame as it is. Returns the count of bytes sent, or nil and an error text, after which nothing can be sent.
function _M.send_frame(self, fin, opcode, payload)
    if self.fatal then
        return nil, "fatal error already happened"
    elseif self.closed then
        return nil, "already closed"
    elseif not self.sock then
        return nil, "not initialized yet"
    end
    local sent, err = protocol.send_frame(self.sock, fin, opcode, payload, self.max_send_len, self.masks)
    if not sent then
        self.fatal = true
    end
    return sent, err
end
local send_frame = _M.send_frame

function _M.send_continue(self, data)
    return send_frame(self, true, CONTINUATION, data)
end

function _M.send_text(self, data)
    return send_frame(self, true, TEXT, data)
end

function _M.send_binary(self, data)
    return send_frame(self, true, BINARY, data)
end

function _M.send_ping(self, data)
    return send_frame(self, true, PING, data)
end

function _M.send_pong(self, data)
    return send_frame(self, true, PONG, data)
end

-- code: the status code (RFC 6455, section 7.4), or nil; message: why, or nil.
function _M.send_close(self, code, message)
    local payload
    if code then
        if type(code) ~= "number" or code > MAX_CODE then
            return nil, "bad status code"
        end
        payload = char(band(rshift(code, 8), 255), band(code, 255)) .. (message or "")
    end
    local sent, err = send_frame(self, true, CLOSE, payload)
    self.closed = self.ends_by_close
    return sent, err
end

return _M
