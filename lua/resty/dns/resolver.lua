-- Owns a DNS client over cosockets: asks name servers in turn by UDP, by TCP where a reply was cut.
-- Source: the documentation of lua-resty-dns 0.23 (names, options, texts); the messages are resty.dns.message's.
local addresses = require "resty.dns.addresses"
local message = require "resty.dns.message"
local random = require "resty.random"

local byte, char = string.byte, string.char
local ipairs, setmetatable, type = ipairs, setmetatable, type
local rshift, band = bit.rshift, bit.band
local rand = math.random

local _M = {
    _VERSION = "0.23",
    compress_ipv6_addr = addresses.compress_ipv6_addr,
    expand_ipv6_addr = addresses.expand_ipv6_addr,
    arpa_str = addresses.arpa_str,
}
for name, value in pairs(message) do
    if type(value) == "number" then
        _M[name] = value -- TYPE_…, CLASS_IN, SECTION_…
    end
end
local mt = { __index = _M }

local DEFAULT_TIMEOUT = 2000 -- milliseconds
local DEFAULT_RETRANS = 5 -- times that a query is sent
local PORT = 53
local MAX_DATAGRAM = 4096
local STRAY_MAX = 128 -- replies to other queries that are passed over

local function as_server(entry)
    if type(entry) == "table" then
        return { entry[1], entry[2] or PORT }
    end
    return { entry, PORT }
end

-- A resolver. options: {nameservers = array of addresses or {address, port}, retrans = times to ask (5), timeout =
-- milliseconds of one try (2000), no_recurse = do not ask the server to ask others, no_random = begin with the
-- first server}. Returns it, or nil and an error text.
function _M.new(_, options)
    if not options then
        return nil, "no options table specified"
    end
    local given = options.nameservers
    if not given or #given == 0 then
        return nil, "no nameservers specified"
    end
    local timeout = options.timeout or DEFAULT_TIMEOUT
    local servers, socks = {}, {}
    for i, entry in ipairs(given) do
        local server, sock = as_server(entry), ngx.socket.udp()
        local ok, err = sock:setpeername(server[1], server[2])
        if not ok then
            return nil, "failed to set peer name: " .. err
        end
        sock:settimeout(timeout)
        servers[i], socks[i] = server, sock
    end
    local tcp_sock = ngx.socket.tcp()
    tcp_sock:settimeout(timeout)
    return setmetatable({
        cur = options.no_random and 1 or rand(1, #servers), servers = servers, socks = socks, tcp_sock = tcp_sock,
        retrans = options.retrans or DEFAULT_RETRANS, no_recurse = options.no_recurse,
    }, mt)
end

-- Close the sockets. The resolver is of no use afterwards.
function _M.destroy(self)
    for _, sock in ipairs(self.socks or {}) do
        sock:close()
    end
    if self.tcp_sock then
        self.tcp_sock:close()
    end
    self.socks, self.tcp_sock, self.cur, self.servers, self.retrans, self.no_recurse = nil, nil, nil, nil, nil, nil
end

-- milliseconds: of one try, from now on. Returns nil, or nil and "not initialized".
function _M.set_timeout(self, milliseconds)
    if not self.socks then
        return nil, "not initialized"
    end
    for _, sock in ipairs(self.socks) do
        sock:settimeout(milliseconds)
    end
    self.tcp_sock:settimeout(milliseconds)
end

-- The number of the server that is to be asked now; the next one's turn is then.
local function take_turn(self)
    local cur = self.cur
    self.cur = cur < #self.servers and cur + 1 or 1
    return cur
end

local function fail(what, transport, server, err)
    return nil, what .. " " .. transport .. " server " .. server[1] .. ":" .. server[2] .. ": " .. err
end

-- A query that nobody else can foresee. Returns {text, id, …}, or nil and "bad name".
local function new_query(self, name, options)
    local qtype = options and options.qtype or message.TYPE_A
    local high, low = byte(random.bytes(2), 1, 2)
    local id = self._id or high * 256 + low -- _id: for tests
    local text, err = message.query(name, qtype, id, self.no_recurse)
    if not text then
        return nil, err
    end
    return {
        text = text, id = id,
        authority = qtype == message.TYPE_SOA or options and options.authority_section,
        additional = options and options.additional_section,
    }
end

local function parse(query, text)
    return message.parse(text, query.id, query.authority, query.additional)
end

-- Send the query over the connection and receive the reply's text.
local function exchange(sock, server, text)
    local ok, err = sock:send({ char(rshift(#text, 8), band(#text, 255)), text })
    if not ok then
        return fail("failed to send query to", "TCP", server, err)
    end
    local head
    head, err = sock:receive(2)
    if not head then
        return fail("failed to receive the reply length field from", "TCP", server, err)
    end
    local high, low = byte(head, 1, 2)
    local reply
    reply, err = sock:receive(high * 256 + low)
    if not reply then
        return fail("failed to receive the reply message body from", "TCP", server, err)
    end
    return reply
end

local function ask_by_tcp(self, server, query)
    local sock = self.tcp_sock
    local ok, err = sock:connect(server[1], server[2])
    if not ok then
        return fail("failed to connect to", "TCP", server, err)
    end
    local reply
    reply, err = exchange(sock, server, query.text)
    sock:close()
    if not reply then
        return nil, err
    end
    local answers
    answers, err = parse(query, reply)
    if not answers then
        return fail("failed to parse the reply from the", "TCP", server, err)
    end
    return answers
end

-- One try. Returns the answers, or nil and why there are none.
local function ask(self, query)
    local number = take_turn(self)
    local server, sock = self.servers[number], self.socks[number]
    local ok, err = sock:send(query.text)
    if not ok then
        return fail("failed to send request to", "UDP", server, err)
    end
    for _ = 1, STRAY_MAX do
        local reply
        reply, err = sock:receive(MAX_DATAGRAM)
        if not reply then
            return fail("failed to receive reply from", "UDP", server, err)
        end
        local answers
        answers, err = parse(query, reply)
        if err == "truncated" then
            return ask_by_tcp(self, server, query)
        elseif err ~= "id mismatch" then
            return answers, err
        end
    end
    return nil, err
end

-- Ask for the records of a name. options: {qtype (TYPE_A), authority_section, additional_section = want these
-- records too}; tries: a table that receives the error text of each try.
-- Returns an array of records (with errcode and errstr when the server said no), nil and tries; or nil, an error
-- text and tries. A record: {section, name, type, class, ttl} and, by type, address, cname, nsdname, ptrdname,
-- preference and exchange, txt, spf, priority and weight and port and target, the SOA's fields, or rdata.
function _M.query(self, name, options, tries)
    if not self.socks then
        return nil, "not initialized"
    end
    local query, err = new_query(self, name, options)
    if not query then
        return nil, err
    end
    if tries then
        tries[1] = nil
    end
    for i = 1, self.retrans do
        local answers
        answers, err = ask(self, query)
        if answers then
            return answers, nil, tries
        end
        if tries then
            tries[i], tries[i + 1] = err, nil
        end
    end
    return nil, err, tries
end

-- The same by TCP, once.
function _M.tcp_query(self, name, options)
    if not self.socks then
        return nil, "not initialized"
    end
    local query, err = new_query(self, name, options)
    if not query then
        return nil, err
    end
    return ask_by_tcp(self, self.servers[take_turn(self)], query)
end

-- Ask for the name that belongs to an address.
function _M.reverse_query(self, address)
    return self:query(self.arpa_str(address), { qtype = message.TYPE_PTR })
end

return _M
