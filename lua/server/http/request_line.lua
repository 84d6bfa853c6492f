-- Owns the request line as the client sent it, whatever Lua code has made of the request since.
local ffi = require "ffi"

local C = ffi.C
local ffi_cast, ffi_string = ffi.cast, ffi.string

local CR = 13

-- The request line of request r, "" before it was read.
return function(r)
    local bytes, size = r.conn.head:ref()
    if size == 0 then
        return ""
    end
    return ffi_string(bytes, C.pygw_memchr(bytes, CR, size) - ffi_cast("uint8_t *", bytes))
end
