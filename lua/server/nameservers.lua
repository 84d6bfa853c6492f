-- Owns asking nameservers for a host's addresses, on behalf of outgoing connections: in turn, again until the time is
-- over, by TCP where a reply was cut; and what they said, for as long as they allow.
-- Source: nginx, "resolver"; RFC 1035. Must never log: whoever asked hears how it went.
local ffi = require "ffi"
local address = require "server.address"
local cdefs = require "server.cdefs"
local clock = require "server.clock"
local connect = require "server.connect"
local message = require "resty.dns.message"
local streams = require "server.stream"
local sysinfo = require "server.sysinfo"

local C = ffi.C
local cast, ffi_string = ffi.cast, ffi.string
local monotonic = clock.monotonic
local ipairs, tonumber = ipairs, tonumber
local char, gmatch, match = string.char, string.gmatch, string.match
local huge, min = math.huge, math.min

local FLAGS = cdefs.SOCK_DGRAM + cdefs.SOCK_NONBLOCK + cdefs.SOCK_CLOEXEC
local RESEND = 5 -- seconds after which the next server is asked
local TIMED_OUT, NO_SUCH_HOST = 110, 3 -- as ngx_resolver_strerror numbers them
local CACHED_MAX = 1000 -- names
local SIZE = 65536

local buffer = ffi.new("uint8_t[?]", SIZE)

local _M = {}

local UNITS = { s = 1, m = 60, h = 3600, [""] = 1 }

-- What the text of a `resolver` directive says: {servers = array of {host, port}, valid = seconds or nil, ipv6}.
local function parse(text)
    local parsed = { servers = {}, ipv6 = true }
    for word in gmatch(text, "%S+") do
        local name, value = match(word, "^(%a[%w_]*)=(.*)$")
        if name == "valid" then
            local number, unit = match(value, "^(%d+)([smh]?)$")
            parsed.valid = number and number * UNITS[unit]
        elseif name == "ipv6" then
            parsed.ipv6 = value ~= "off"
        elseif not name then
            local host, port = match(word, "^(%[.*%]):?(%d*)$")
            if not host then
                host, port = match(word, "^([^:]+):?(%d*)$")
            end
            if host and address.parse(host, 0) then
                parsed.servers[#parsed.servers + 1] = { host = host, port = tonumber(port) or 53 }
            end
        end
    end
    return parsed
end

local parsed_texts = {}

local function parsed_of(text)
    local parsed = parsed_texts[text]
    if not parsed then
        parsed = parse(text)
        parsed_texts[text] = parsed
    end
    return parsed
end

-- Receive the reply to query `id` until `deadline`. Returns what message.parse does, or nil and "timeout".
local function receive(stream, id, deadline)
    while true do
        local n = C.pygw_recv(stream.fd, buffer, SIZE, 0)
        if n >= 0 then
            local answers, err = message.parse(ffi_string(buffer, n), id)
            if answers or err == "truncated" then
                return answers, err
            end
        else -- an error of an earlier datagram is over with this; the server may still come up
            stream.readable = false
            local ok, err = stream:wait_readable(deadline - monotonic())
            if not ok then
                return nil, err
            end
        end
    end
end

-- Ask one server by UDP until `deadline`. Returns as receive does.
local function ask_by_udp(server, query, id, deadline)
    local sockaddr, size, family = address.parse(server.host, server.port)
    local fd = C.socket(family, FLAGS, 0)
    if fd < 0 or C.connect(fd, sockaddr, size) ~= 0 then
        if fd >= 0 then
            C.close(fd)
        end
        return nil, "unreachable"
    end
    local stream = streams.new(fd)
    stream.connecting = true -- nobody else knows of it: it goes with its task
    C.pygw_send(fd, cast("const uint8_t *", query), #query, cdefs.MSG_NOSIGNAL)
    local answers, err = receive(stream, id, deadline)
    stream:close()
    return answers, err
end

-- Receive exactly n bytes. Returns them, or nil.
local function receive_exactly(stream, n, deadline)
    local got = 0
    while got < n do
        local count = stream:read(buffer + got, n - got, deadline - monotonic())
        if not count or count == 0 then
            return nil
        end
        got = got + count
    end
    return ffi_string(buffer, n)
end

local function ask_by_tcp(server, query, id, deadline)
    local stream = connect(server.host, server.port, deadline - monotonic())
    if not stream then
        return nil, "unreachable"
    end
    stream.connecting = true
    local text = char(bit.rshift(#query, 8), bit.band(#query, 255)) .. query
    local reply
    if stream:send_text(text, deadline - monotonic()) then
        local head = receive_exactly(stream, 2, deadline)
        reply = head and receive_exactly(stream, head:byte(1) * 256 + head:byte(2), deadline)
    end
    stream:close()
    if not reply then
        return nil, "closed"
    end
    return message.parse(reply, id)
end

-- Ask for records of one type, each server in its turn. Returns them, or nil when none answered in time.
local function ask(servers, name, qtype, deadline)
    local id = tonumber(sysinfo.random_hex(2), 16)
    local query = message.query(name, qtype, id)
    if not query then
        return { errcode = NO_SUCH_HOST }
    end
    local turn = 0
    while monotonic() < deadline and #servers > 0 do
        local server = servers[turn % #servers + 1]
        local limit = min(deadline, monotonic() + RESEND)
        local answers, err = ask_by_udp(server, query, id, limit)
        if err == "truncated" then
            answers, err = ask_by_tcp(server, query, id, limit)
        end
        if answers then
            return answers
        elseif err ~= "timeout" and turn >= #servers then
            return nil
        end
        turn = turn + 1
    end
end

-- The addresses among records, and for how many seconds they hold.
local function addresses(answers)
    local found, ttl = {}, huge
    for _, answer in ipairs(answers) do
        if answer.address then
            found[#found + 1] = answer.address
            ttl = min(ttl, answer.ttl)
        end
    end
    return found, ttl
end

local cached, cached_count = {}, 0

local function keep(key, found, seconds)
    if cached_count >= CACHED_MAX then
        cached, cached_count = {}, 0
    end
    cached_count = cached_count + 1
    cached[key] = { found = found, over = monotonic() + seconds }
end

-- The addresses of a host. resolver: what nginx's directive of that name lists; seconds: for all of it.
-- Returns an array, not empty; or nil and one of nginx's numbers for why there are none.
function _M.find(resolver, name, seconds)
    local key = resolver .. "\0" .. name
    local known = cached[key]
    if known and known.over > monotonic() then
        return known.found
    end
    local parsed, deadline = parsed_of(resolver), monotonic() + seconds
    local answers = ask(parsed.servers, name, message.TYPE_A, deadline)
    if not answers then
        return nil, TIMED_OUT
    end
    local found, ttl = addresses(answers)
    if not found[1] and parsed.ipv6 and not answers.errcode then
        answers = ask(parsed.servers, name, message.TYPE_AAAA, deadline) or {}
        found, ttl = addresses(answers)
    end
    if not found[1] then
        return nil, answers.errcode or NO_SUCH_HOST
    end
    keep(key, found, parsed.valid or ttl)
    return found
end

return _M
