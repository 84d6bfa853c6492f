-- Owns the values of "format" that are checked; others are not, as the specification allows.
-- Must never be stricter than api7/jsonschema 0.9.13, whose formats these are.
local ffi = require "ffi"

local C = ffi.C

local AF_INET = 2
local AF_INET6 = ffi.os == "OSX" and 30 or 10
local DATE = [[\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])]]
local CLOCK = [[(?:[01]\d|2[0-3]):[0-5]\d]]

ffi.cdef "int inet_pton(int, const char *, void *);"

local address = ffi.new("uint8_t[16]")

local _M = {}

--- Regular expressions (PCRE) by format.
_M.patterns = {
    email = [[^[A-Za-z0-9_\-.]+@[A-Za-z0-9_\-.]+\.[A-Za-z]{2,4}$]],
    hostname = [[^[a-zA-Z0-9\-.]+$]],
    uuid = [[^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$]],
    date = "^" .. DATE .. "$",
    ["date-time"] = "^" .. DATE .. "[Tt]" .. CLOCK .. [=[:[0-5]\d(?:\.\d+)?(?:[Zz]|[-+]]=] .. CLOCK .. ")$",
    uri = [[^[a-zA-Z][a-zA-Z0-9+\-.]*:\S*$]],
}

--- Is `text` an IPv4 address in dotted notation?
function _M.parse_ipv4(text)
    return C.inet_pton(AF_INET, text, address) == 1
end

--- Is `text` an IPv6 address, without brackets?
function _M.parse_ipv6(text)
    return C.inet_pton(AF_INET6, text, address) == 1
end

return _M
