-- Owns the C functions of nginx itself that Lua code of the field calls by FFI: here they are Lua functions
-- with the same arguments, found where such code looks for them, in ffi.C. Whoever took ffi.C before this
-- module was loaded has the plain one. Must hold only what has been seen in plugins and libraries.
local bit = require "bit"
local ffi = require "ffi"

local band, rshift = bit.band, bit.rshift
local byte, error = string.byte, error
local cast = ffi.cast

local HEX_LOWER = ffi.new("uint8_t[16]", { byte("0123456789abcdef", 1, 16) })
local HEX_UPPER = ffi.new("uint8_t[16]", { byte("0123456789ABCDEF", 1, 16) })
local PERCENT = byte("%")

local _M = {}

-- The bytes that are escaped, beside the control ones and those above "~": for a URI, for its arguments.
local ESCAPED = { [0] = ' "#%<>?\\^`{|}', ' #%&+;?' }
local UNRESERVED = "^[%w%-._~]$" -- all that a URI's component keeps

local function set_of(kind)
    local set = ffi.new("bool[256]")
    for code = 0, 255 do
        local char = string.char(code)
        if kind == 2 then
            set[code] = not char:find(UNRESERVED)
        else
            set[code] = code < 32 or code > 126 or ESCAPED[kind]:find(char, 1, true) ~= nil
        end
    end
    return set
end

local SETS = { [0] = set_of(0), set_of(1), set_of(2) }

-- ngx_escape_uri(dst, src, size, type) of ngx_string.c. type: 0 URI, 1 ARGS, 2 URI_COMPONENT. Without dst:
-- returns how many bytes need escaping. With it: writes the escaped text there, returns its end.
function _M.ngx_escape_uri(dst, src, size, kind)
    local set = SETS[kind]
    if not set then
        error("ngx_escape_uri: type " .. kind .. " is not supported", 2)
    end
    local from = cast("const uint8_t *", src)
    local count = 0
    if dst == nil then
        for i = 0, size - 1 do
            count = count + (set[from[i]] and 1 or 0)
        end
        return count
    end
    local to = cast("uint8_t *", dst)
    for i = 0, size - 1 do
        local code = from[i]
        if set[code] then
            to[0], to[1], to[2] = PERCENT, HEX_UPPER[rshift(code, 4)], HEX_UPPER[band(code, 15)]
            to = to + 3
        else
            to[0] = code
            to = to + 1
        end
    end
    return to
end

-- ngx_hex_dump(dst, src, len): 2 * len lower-case digits; returns their end.
function _M.ngx_hex_dump(dst, src, len)
    local to, from = cast("uint8_t *", dst), cast("const uint8_t *", src)
    for i = 0, len - 1 do
        to[2 * i], to[2 * i + 1] = HEX_LOWER[rshift(from[i], 4)], HEX_LOWER[band(from[i], 15)]
    end
    return to + 2 * len
end

-- ngx_hextoi(line, n): the number that n hexadecimal digits say, or -1.
function _M.ngx_hextoi(line, n)
    return tonumber(ffi.string(line, n):match("^%x+$") or "", 16) or -1
end

-- nginx's counters, as pointers to a number: C.ngx_stat_active[0].
for _, name in ipairs({ "accepted", "handled", "requests", "active", "reading", "writing", "waiting" }) do
    _M["ngx_stat_" .. name] = setmetatable({}, {
        __index = function()
            return require("server.stats").total(name)
        end,
    })
end

local plain = ffi.C

-- A library asks in vain for other functions of nginx, as it would of an nginx without that module.
ffi.C = setmetatable({}, {
    __index = function(_, name)
        return _M[name] or plain[name]
    end,
    __newindex = function(_, name, value)
        plain[name] = value
    end,
})

return _M
