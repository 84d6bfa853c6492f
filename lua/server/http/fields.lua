-- Owns the parsing of header lines (RFC 9112, section 5) out of a buffer, strictly: no folding, no
-- space before the colon, no bare CR or LF, no control bytes. Used for requests, responses and trailers.
local ffi = require "ffi"
local headers = require "server.http.headers"

local C = ffi.C
local ffi_string = ffi.string
local find, format = string.find, string.format
local lower = headers.lower

require "server.cdefs"

local SHOWN_MAX = 256 -- bytes of a line that is too long, in what is said of it
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

-- What is wrong with the line at p[pos], in nginx's words: it is shown up to its first byte that is not of `set`.
local function invalid_line(p, pos, stop, from, set)
    local bad = from
    while bad < stop and set[p[bad]] == 1 do
        bad = bad + 1
    end
    return nil, format('invalid header line: "%s\\x%02x..."', ffi_string(p + pos, bad - pos), p[bad])
end

-- Parse the lines from p[pos] up to the empty one that ends at p[stop] (exclusive) into `into`. line_max: bytes
-- that a line may have, its end included; nil: any. Returns true, or nil, what is wrong, and whether a line is
-- too long.
function _M.parse(p, pos, stop, into, line_max)
    local n = into.n
    local last = stop - 2
    line_max = line_max or stop
    while pos < last do
        local line_end = C.pygw_memchr(p + pos, LF, last - pos) - p
        local colon = C.pygw_memchr(p + pos, COLON, line_end - pos)
        if line_end - pos >= line_max then
            return nil, 'too long header line: "' .. ffi_string(p + pos, SHOWN_MAX) .. '..."', true
        elseif colon == nil then
            return invalid_line(p, pos, line_end, pos, TOKEN)
        end
        local colon_at = colon - p
        local name = ffi_string(p + pos, colon_at - pos)
        local key = names[name] or check_name(name)
        if not key then
            return invalid_line(p, pos, line_end, pos, TOKEN)
        elseif p[line_end - 1] ~= CR then
            return invalid_line(p, pos, line_end, colon_at + 1, VALUE)
        end
        local value = trimmed(p, colon_at + 1, line_end - 1)
        if not values[value] and not check_value(value) then
            return invalid_line(p, pos, line_end, colon_at + 1, VALUE)
        end
        into[n + 1], into[n + 2], into[n + 3] = key, name, value
        n = n + 3
        pos = line_end + 1
    end
    into.n = n
    return true
end

-- Take the fields away whose name has a "_", as nginx does unless told otherwise (underscores_in_headers).
-- Returns the first one's name, or nil.
function _M.drop_underscored(fields)
    local first
    for i = fields.n - 2, 1, -3 do
        local key = fields[i]
        if find(key, "_", 1, true) then
            first = fields[i + 1]
            fields:remove(key)
        end
    end
    return first
end

return _M
