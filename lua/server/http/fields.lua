-- Owns the parsing of header lines (RFC 9112, section 5) out of a buffer, strictly: no folding, no
-- space before the colon, no bare CR or LF, no control bytes. Used for requests, responses and trailers.
local ffi = require "ffi"
local headers = require "server.http.headers"

local ffi_string = ffi.string
local lower = headers.lower

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

-- Parse the lines from p[pos] up to the empty one that ends at p[stop] (exclusive) into `into`.
-- Returns true, or nil and what is wrong.
function _M.parse(p, pos, stop, into)
    local n = into.n
    while true do
        local byte = p[pos]
        if byte == CR then
            if pos + 2 == stop and p[pos + 1] == LF then
                into.n = n
                return true
            end
            return nil, "bare CR in header"
        end
        local start = pos
        while TOKEN[byte] == 1 do
            pos = pos + 1
            byte = p[pos]
        end
        if byte ~= COLON or pos == start then
            return nil, "invalid header name"
        end
        local name = ffi_string(p + start, pos - start)
        pos = pos + 1
        while p[pos] == SPACE or p[pos] == TAB do
            pos = pos + 1
        end
        start = pos
        while VALUE[p[pos]] == 1 do
            pos = pos + 1
        end
        if p[pos] ~= CR or p[pos + 1] ~= LF then
            return nil, "invalid header value"
        end
        local last = pos
        while last > start and (p[last - 1] == SPACE or p[last - 1] == TAB) do
            last = last - 1
        end
        into[n + 1], into[n + 2], into[n + 3] = lower(name), name, ffi_string(p + start, last - start)
        n = n + 3
        pos = pos + 2
    end
end

return _M
