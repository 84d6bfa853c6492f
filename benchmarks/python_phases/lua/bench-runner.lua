-- The gateway's side of APISIX's ext-plugin protocol, for the runner of this benchmark: each request crosses as a
-- flatbuffer on a kept connection of a unix socket, and the headers that come back are set. Cheaper than APISIX's own,
-- which builds its messages with the flatbuffers library.
local bit = require "bit"
local core = require "apisix.core"

local byte, char, rep, sub = string.byte, string.char, string.rep, string.sub
local band, rshift = bit.band, bit.rshift
local concat = table.concat
local assert, error, pairs = assert, error, pairs

local PREPARE_CONF, HTTP_REQ_CALL = 1, 2
local REWRITE = 2
local METHODS = { GET = 0, HEAD = 1, POST = 2, PUT = 3, DELETE = 4 }

local last_id = 0
local tokens = {} -- by configuration
local parts = {} -- of the message that is made

local function u16(value)
    return char(band(value, 255), rshift(value, 8))
end

local function u32(value)
    return char(band(value, 255), band(rshift(value, 8), 255), band(rshift(value, 16), 255), rshift(value, 24))
end

-- A string, or a vector of bytes, as it stands in a message.
local function text_of(text)
    return u32(#text) .. text .. rep("\0", 4 - #text % 4)
end

-- The vtables of HTTPReqCall.Req {id, src_ip, method, path, no args, headers, conf_token}, at 4, and of TextEntry
-- {name, value}, at 22; the table of the request follows at 32, what it leads to at 60.
local HEAD = u32(32) .. u16(18) .. u16(28) .. u16(4) .. u16(8) .. u16(24) .. u16(12) .. u16(0) .. u16(16) .. u16(20)
    .. u16(8) .. u16(12) .. u16(4) .. u16(8) .. "\0\0" .. u32(28)
local ENTRY_VTABLE = 22

local function encode_request(ctx, token)
    last_id = (last_id + 1) % 4194304
    local address, path = text_of(ctx.var.binary_remote_addr), text_of(ctx.var.uri)
    local headers, count = core.request.headers(ctx), 0
    for _ in pairs(headers) do
        count = count + 1
    end
    local path_at = 60 + #address
    local vector = path_at + #path
    parts[1] = HEAD
    parts[2] = u32(last_id) .. u32(60 - 40) .. u32(path_at - 44) .. u32(vector - 48) .. u32(token)
    parts[3] = u32(METHODS[ctx.var.method] or 0)
    parts[4], parts[5], parts[6] = address, path, u32(count)
    local at, entry, n = vector + 4, vector + 4 + 4 * count, 6
    for name, value in pairs(headers) do
        local first, second = text_of(name), text_of(value)
        parts[n + 1] = u32(entry - at)
        parts[n + 1 + count] = u32(entry - ENTRY_VTABLE) .. u32(8) .. u32(4 + #first) .. first .. second
        at, entry, n = at + 4, entry + 12 + #first + #second, n + 1
    end
    return concat(parts, "", 1, 6 + 2 * count)
end

-- PrepareConf.Req {no conf, key}
local function encode_conf(key)
    return u32(12) .. u16(8) .. u16(8) .. u16(0) .. u16(4) .. u32(8) .. u32(4) .. text_of(key)
end

local function get16(data, at)
    local low, high = byte(data, at + 1, at + 2)
    return low + 256 * high
end

local function get32(data, at)
    local first, second, third, fourth = byte(data, at + 1, at + 4)
    return first + 256 * (second + 256 * (third + 256 * fourth))
end

-- Where the offset at `at` leads.
local function follow(data, at)
    return at + get32(data, at)
end

-- Where a field of a table stands, nil without it.
local function field(data, at, number)
    local vtable = at - get32(data, at)
    local entry = 4 + 2 * number
    if entry < get16(data, vtable) then
        local offset = get16(data, vtable + entry)
        return offset ~= 0 and at + offset or nil
    end
end

local function text_field(data, at, number)
    local start = follow(data, field(data, at, number))
    return sub(data, start + 5, start + 4 + get32(data, start))
end

-- Do what HTTPReqCall.Resp says: the headers of a Rewrite.
local function apply(ctx, data)
    local response = follow(data, 0)
    if byte(data, field(data, response, 1) + 1) ~= REWRITE then
        error("the runner's answer is none that it gives")
    end
    local rewrite = follow(data, field(data, response, 2))
    local vector = follow(data, field(data, rewrite, 1))
    for number = 1, get32(data, vector) do
        local entry = follow(data, vector + 4 * number)
        core.request.set_header(ctx, text_field(data, entry, 0), text_field(data, entry, 1))
    end
end

local function call(sock, kind, data)
    local size = #data
    local head = char(kind, rshift(size, 16), band(rshift(size, 8), 255), band(size, 255))
    assert(sock:send({ head, data }))
    head = assert(sock:receive(4))
    local first, high, middle, low = byte(head, 1, 4)
    assert(first == kind, "the runner answers something else")
    return assert(sock:receive(high * 65536 + middle * 256 + low))
end

local function token_of(conf, sock)
    local token = tokens[conf]
    if not token then
        local data = call(sock, PREPARE_CONF, encode_conf(conf.block and "block" or "header"))
        token = get32(data, field(data, follow(data, 0), 0))
        tokens[conf] = token
    end
    return token
end

return {
    version = 0.1, priority = 10, name = "bench-runner",
    schema = { type = "object", properties = { path = { type = "string" }, block = { type = "boolean" } } },
    access = function(conf, ctx)
        local sock = ngx.socket.tcp()
        assert(sock:connect(conf.path))
        local token = token_of(conf, sock)
        apply(ctx, call(sock, HTTP_REQ_CALL, encode_request(ctx, token)))
        assert(sock:setkeepalive(60000, 128))
    end,
}
