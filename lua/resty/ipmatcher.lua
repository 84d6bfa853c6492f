-- Owns the matching of IP addresses against sets of addresses and CIDR blocks, one look-up for each
-- prefix length in the set. Must never resolve names or read the request.
-- Mirrors api7/lua-resty-ipmatcher 0.6.
local bit = require "bit"
local ffi = require "ffi"

local C = ffi.C
local band, lshift, rshift, tobit = bit.band, bit.lshift, bit.rshift, bit.tobit
local bswap = bit.bswap
local ffi_copy = ffi.copy
local error = error
local ipairs = ipairs
local pairs = pairs
local setmetatable = setmetatable
local sort = table.sort
local str_byte = string.byte
local str_find = string.find
local str_match = string.match
local str_sub = string.sub
local tonumber = tonumber
local type = type

pcall(ffi.cdef, [[
int inet_pton(int af, const char *src, void *dst);
size_t strlen(const char *s);
]])

local AF_INET, AF_INET6 = 2, 10
local OPEN_BRACKET, CLOSE_BRACKET = str_byte("["), str_byte("]")
local INVALID = "invalid ip address, not ipv4 and ipv6"

local _M = { _VERSION = "0.6" }
local mt = { __index = _M }

-- The address that was parsed last: four words in network order, as signed 32-bit numbers.
local words = ffi.new("int32_t[4]")
local host = ffi.abi("le") and bswap or function(word) return word end

-- A NUL would end the C string early and let "127.0.0.1\0junk" pass.
local function pton(family, text)
    return C.inet_pton(family, text, words) == 1 and C.strlen(text) == #text
end

local function read_ipv4(text)
    return pton(AF_INET, text)
end

local function read_ipv6(text)
    if str_byte(text, 1) == OPEN_BRACKET and str_byte(text, #text) == CLOSE_BRACKET then
        text = str_sub(text, 2, -2)
    end
    return pton(AF_INET6, text)
end

local function unsigned(word)
    return word % 4294967296
end

-- Returns the address as a number 0 .. 2^32-1, or false if `ip` is not a dotted IPv4 address.
function _M.parse_ipv4(ip)
    if type(ip) ~= "string" or not read_ipv4(ip) then
        return false
    end
    return unsigned(host(words[0]))
end

-- Returns the address as an array of four numbers 0 .. 2^32-1, or false if `ip` is not an IPv6
-- address. Square brackets around it are allowed.
function _M.parse_ipv6(ip)
    if type(ip) ~= "string" or not read_ipv6(ip) then
        return false
    end
    return {
        unsigned(host(words[0])), unsigned(host(words[1])),
        unsigned(host(words[2])), unsigned(host(words[3])),
    }
end

-- "10.0.0.0/8" -> "10.0.0.0", 8. The second value is nil without a numeric mask.
function _M.split_ip(ip)
    local slash = str_find(ip, "/", 1, true)
    if not slash then
        return ip
    end
    return str_sub(ip, 1, slash - 1), tonumber(str_sub(ip, slash + 1))
end

-- The first `bits` (0..32) bits of a word.
local function head(word, bits)
    if bits <= 0 then
        return 0
    end
    if bits >= 32 then
        return tobit(word)
    end
    return band(word, lshift(-1, 32 - bits))
end

local function insert_ipv4(set, mask, value)
    local nets = set[mask]
    if not nets then
        nets = {}
        set[mask] = nets
    end
    nets[head(host(words[0]), mask)] = value
end

-- A prefix of n words is a path of n keys; a word that the mask does not reach is not looked at.
local function insert_ipv6(set, mask, value)
    local node = set[mask]
    if not node then
        node = {}
        set[mask] = node
    end
    local last = rshift(mask + 31, 5) - 1
    for i = 0, last - 1 do
        local word = host(words[i])
        local below = node[word]
        if not below then
            below = {}
            node[word] = below
        end
        node = below
    end
    node[head(host(words[last]), mask - last * 32)] = value
end

local function insert(self, entry, value)
    local ip, mask = entry, nil
    local slash = str_find(entry, "/", 1, true)
    if slash then
        ip, mask = str_sub(entry, 1, slash - 1), str_sub(entry, slash + 1)
        mask = str_match(mask, "^%d+$") and tonumber(mask) or -1
    end

    local set, width, put
    if read_ipv4(ip) then
        set, width, put = self.ipv4, 32, insert_ipv4
    elseif read_ipv6(ip) then
        set, width, put = self.ipv6, 128, insert_ipv6
    else
        return nil, "invalid ip address: " .. ip
    end

    mask = mask or width
    if mask < 0 or mask > width then
        return nil, "invalid ip address: " .. entry
    end
    if mask == 0 then
        set.any = value
    else
        put(set, mask, value)
    end
    return true
end

local function list_masks(set)
    local masks = {}
    for mask in pairs(set) do
        if mask ~= "any" then
            masks[#masks + 1] = mask
        end
    end
    sort(masks, function(a, b) return a > b end)
    set.masks = masks
end

local function new(ips, with_value)
    if type(ips) ~= "table" then
        error("missing valid ip argument", 3)
    end

    local self = { ipv4 = {}, ipv6 = {} }
    local ok, err
    if with_value then
        for entry, value in pairs(ips) do
            ok, err = insert(self, entry, value)
            if not ok then
                return nil, err
            end
        end
    else
        for _, entry in ipairs(ips) do
            ok, err = insert(self, entry, true)
            if not ok then
                return nil, err
            end
        end
    end

    list_masks(self.ipv4)
    list_masks(self.ipv6)
    return setmetatable(self, mt)
end

-- ips: array of addresses and CIDR blocks, IPv4 and IPv6. Returns a matcher, or nil, err.
function _M.new(ips)
    return new(ips, false)
end

-- ips: table of address or CIDR block -> value that match() is to return. Returns a matcher, or nil, err.
function _M.new_with_value(ips)
    return new(ips, true)
end

-- As in the original, a single address wins over /0, and /0 over every other block.
local function match_ipv4(set)
    local word = host(words[0])
    local single = set[32] and set[32][word]
    if single ~= nil then
        return single
    end
    if set.any ~= nil then
        return set.any
    end
    local masks = set.masks
    for i = 1, #masks do
        local value = set[masks[i]][head(word, masks[i])]
        if value ~= nil then
            return value
        end
    end
    return false
end

local function find_ipv6(node, mask)
    local last = rshift(mask + 31, 5) - 1
    for i = 0, last - 1 do
        node = node[host(words[i])]
        if not node then
            return nil
        end
    end
    return node[head(host(words[last]), mask - last * 32)]
end

local function match_ipv6(set)
    local single
    if set[128] then
        single = find_ipv6(set[128], 128)
    end
    if single ~= nil then
        return single
    end
    if set.any ~= nil then
        return set.any
    end
    local masks = set.masks
    for i = 1, #masks do
        local value = find_ipv6(set[masks[i]], masks[i])
        if value ~= nil then
            return value
        end
    end
    return false
end

-- ip: address as text. Returns true (or the value given to new_with_value), or false;
-- false, err if it is no address.
function _M:match(ip)
    if type(ip) == "string" then
        if read_ipv4(ip) then
            return match_ipv4(self.ipv4)
        end
        if read_ipv6(ip) then
            return match_ipv6(self.ipv6)
        end
    end
    return false, INVALID
end

-- ip: address as 4 or 16 bytes in network order (ngx.var.binary_remote_addr). Returns as match().
function _M:match_bin(ip)
    if type(ip) == "string" then
        if #ip == 4 then
            ffi_copy(words, ip, 4)
            return match_ipv4(self.ipv4)
        end
        if #ip == 16 then
            ffi_copy(words, ip, 16)
            return match_ipv6(self.ipv6)
        end
    end
    return false, INVALID
end

return _M
