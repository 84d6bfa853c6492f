-- Owns the parsing of header lines (RFC 9112, section 5) out of a buffer, strictly: no folding, no
-- space before the colon, no bare CR or LF, no control bytes. Used for requests, responses and trailers.
local ffi = require "ffi"
local headers = require "server.http.headers"

local C = ffi.C
local ffi_string = ffi.string
local find = string.find
local lower = headers.lower

require "server.cdefs"

local LF, CR, COLON, SPACE, TAB = 10, 13, 58, 32, 9

local _M = {}

-- 1 for the bytes of a token (RFC 9110, section 5.6.2).
local TOKEN = ffi.new("uint8_t[256]")
for byte = 33, 126 do
    if not string.char(byte):find('[%(%)<>@,;:\\"/%[%]%?={} \t]') then
        TOKEN[byte] = 1
    end
end
_M.TOKEN = TOKEN

-- 1 for the bytes of a field value: visible, space, tab and everything above ASCII.
local VALUE = ffi.new("uint8_t[256]")
for byte = 32, 255 do
    VALUE[byte] = byte ~= 127 and 1 or 0
end
VALUE[TAB] = 1
_M.VALUE = VALUE

-- What a name must not hold (anything but a token), and a value: controls but for the tab.
local NO_TOKEN = "[^%w!#%$%%&'%*%+%-%.%^_`|~]"
local NO_VALUE = "[%z\1-\8\10-\31\127]"

-- What was met and found well-formed: names (with their lower-cased form) and values. Most messages bring
-- the same ones, and looking one up costs less than reading it byte by byte. They come from outside, so
-- a full table starts anew, and what is long is not kept.
local KNOWN_MAX, LONG = 4096, 256
local names, names_n = {}, 0
local values, values_n = {}, 0

local function check_name(name)
    if find(name, NO_TOKEN) or name == "" then
        return nil
    end
    if names_n == KNOWN_MAX then
        names, names_n = {}, 0
    end
    local key = lower(name)
    if #name <= LONG then
        names[name] = key
        names_n = names_n + 1
    end
    return key
end

local function check_value(value)
    if find(value, NO_VALUE) then
        return false
    end
    if values_n == KNOWN_MAX then
        values, values_n = {}, 0
    end
    if #value <= LONG then
        values[value] = true
        values_n = values_n + 1
    end
    return true
end

local function is_blank(byte)
    return byte == SPACE or byte == TAB
end

-- The value between p[start] and p[stop], without the blanks around it, which are rarely more than one.
local function trimmed(p, start, stop)
    if start < stop and is_blank(p[start]) then
        return trimmed(p, start + 1, stop)
    elseif start < stop and is_blank(p[stop - 1]) then
        return trimmed(p, start, stop - 1)
    end
    return ffi_string(p + start, stop - start)
end

-- Parse the lines from p[pos] up to the empty one that ends at p[stop] (exclusive) into `into`.
-- Returns true, or nil and what is wrong.
function _M.parse(p, pos, stop, into)
    local n = into.n
    local last = stop - 2
    while pos < last do
        local line_end = C.pygw_memchr(p + pos, LF, last - pos) - p
        if p[line_end - 1] ~= CR then
            return nil, "bare LF in header"
        end
        local colon = C.pygw_memchr(p + pos, COLON, line_end - pos)
        if colon == nil then
            return nil, "header without a colon"
        end
        local colon_at = colon - p
        local name = ffi_string(p + pos, colon_at - pos)
        local key = names[name] or check_name(name)
        if not key then
            return nil, "invalid header name"
        end
        local value = trimmed(p, colon_at + 1, line_end - 1)
        if not values[value] and not check_value(value) then
            return nil, "invalid header value"
        end
        into[n + 1], into[n + 2], into[n + 3] = key, name, value
        n = n + 3
        pos = line_end + 1
    end
    into.n = n
    return true
end

return _M
