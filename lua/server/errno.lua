-- Owns the texts of the system's errors.
local ffi = require "ffi"
require "server.cdefs"

local C = ffi.C
local ffi_string = ffi.string

local _M = {}

-- errno as the C library names it, lower-cased as ngx_lua returns it.
function _M.text(errno)
    return ffi_string(C.strerror(errno)):lower()
end

local LAST = 133
local numbers -- errno by its text

-- A text of text() as nginx's log lines have it: "111: Connection refused".
function _M.describe(text)
    if not numbers then
        numbers = {}
        for errno = LAST, 1, -1 do
            numbers[_M.text(errno)] = errno
        end
    end
    local errno = numbers[text]
    return errno and errno .. ": " .. ffi_string(C.strerror(errno)) or text
end

return _M
