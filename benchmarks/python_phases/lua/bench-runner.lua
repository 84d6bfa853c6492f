-- The gateway's side of APISIX's ext-plugin protocol, for the runner of this benchmark: each request crosses as a
-- flatbuffer on a kept connection of a unix socket, and the headers that come back are set. Cheaper than APISIX's own,
-- which builds its messages with the flatbuffers library.
local bit = require "bit"
local core = require "apisix.core"
local ffi = require "ffi"

local byte, char = string.byte, string.char
local band, rshift = bit.band, bit.rshift
local cast, copy, fill, text_of = ffi.cast, ffi.copy, ffi.fill, ffi.string
local assert, error, ipairs, pairs, tonumber = assert, error, ipairs, pairs, tonumber

local PREPARE_CONF, HTTP_REQ_CALL = 1, 2
local REWRITE = 2
local METHODS = { GET = 0, HEAD = 1, POST = 2, PUT = 3, DELETE = 4 }
local ENTRY_VTABLE, REQUEST, REQUEST_END = 22, 32, 60

local buffer = ffi.new("uint8_t[?]", 65536)
local u16, u32, i32 = ffi.typeof("uint16_t *"), ffi.typeof("uint32_t *"), ffi.typeof("int32_t *")
local bytes_of = ffi.typeof("const uint8_t *")
local position, last_id = 0, 0
local tokens = {} -- by configuration

local function put16(at, ...)
    for index, value in ipairs({ ... }) do
        cast(u16, buffer + at)[index - 1] = value
    end
end

local function put32(at, value)
    cast(u32, buffer + at)[0] = value
end

-- Write text at the end, and at `at` the offset that leads to it.
local function put_text(at, text)
    local size = #text
    put32(at, position - at)
    put32(position, size)
    copy(buffer + position + 4, text, size)
    fill(buffer + position + 4 + size, 4)
    position = position + 8 + size - size % 4
end

local function put_entry(at, name, value)
    local entry = position
    put32(at, entry - at)
    put32(entry, entry - ENTRY_VTABLE)
    position = entry + 12
    put_text(entry + 4, name)
    put_text(entry + 8, value)
end

-- What is the same in all requests: HTTPReqCall.Req, at 32, and the vtables of it (at 4) and of TextEntry.
local function put_head()
    put32(0, REQUEST)
    put16(4, 18, 28, 4, 8, 24, 12, 0, 16, 20) -- sizes; id, src_ip, method, path, no args, headers, conf_token
    put16(ENTRY_VTABLE, 8, 12, 4, 8)
    put32(REQUEST, REQUEST - 4)
end

local function encode_request(ctx, token)
    put_head()
    last_id = (last_id + 1) % 4194304
    put32(REQUEST + 4, last_id)
    put32(REQUEST + 20, token)
    put32(REQUEST + 24, METHODS[ctx.var.method] or 0)
    position = REQUEST_END
    put_text(REQUEST + 8, ctx.var.binary_remote_addr)
    put_text(REQUEST + 12, ctx.var.uri)
    local headers, count = core.request.headers(ctx), 0
    for _ in pairs(headers) do
        count = count + 1
    end
    local vector = position
    put32(REQUEST + 16, vector - REQUEST - 16)
    put32(vector, count)
    position = vector + 4 + 4 * count
    local at = vector + 4
    for name, value in pairs(headers) do
        put_entry(at, name, value)
        at = at + 4
    end
    return text_of(buffer, position)
end

-- PrepareConf.Req {no conf, key}
local function encode_conf(key)
    put32(0, 12)
    put16(4, 8, 8, 0, 4)
    put32(12, 8)
    position = 20
    put_text(16, key)
    return text_of(buffer, position)
end

-- Where the offset at `at` leads.
local function follow(data, at)
    return at + cast(u32, data + at)[0]
end

-- Where a field of a table stands, nil without it.
local function field(data, at, number)
    local vtable = at - cast(i32, data + at)[0]
    local entry = 4 + 2 * number
    if entry < cast(u16, data + vtable)[0] then
        local offset = cast(u16, data + vtable + entry)[0]
        return offset ~= 0 and at + offset or nil
    end
end

local function text_field(data, at, number)
    local start = follow(data, field(data, at, number))
    return text_of(data + start + 4, cast(u32, data + start)[0])
end

-- Do what HTTPReqCall.Resp says: the headers of a Rewrite.
local function apply(ctx, answer)
    local data = cast(bytes_of, answer)
    local response = follow(data, 0)
    if data[field(data, response, 1)] ~= REWRITE then
        error("the runner's answer is none that it gives")
    end
    local rewrite = follow(data, field(data, response, 2))
    local vector = follow(data, field(data, rewrite, 1))
    for number = 1, cast(u32, data + vector)[0] do
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
        local data = cast(bytes_of, call(sock, PREPARE_CONF, encode_conf(conf.block and "block" or "header")))
        token = tonumber(cast(u32, data + field(data, follow(data, 0), 0))[0])
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
