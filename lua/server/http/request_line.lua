-- Owns the request line as the client sent it, whatever Lua code has made of the request since.
local ffi = require "ffi"

local C = ffi.C
local ffi_cast, ffi_string = ffi.cast, ffi.string

local CR, LF = 13, 10

-- The request line of request r, "" before it was read.
return function(r)
    local bytes, size = r.conn.head:ref()
    if size == 0 then
        return ""
    end
    local length = C.pygw_memchr(bytes, LF, size) - ffi_cast("uint8_t *", bytes)
    if bytes[length - 1] == CR then
        length = length - 1
    end
    return ffi_string(bytes, length)
end
