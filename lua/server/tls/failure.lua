-- Owns OpenSSL's error queue: turning what lies in it into text, and emptying it.
-- Source: nginx, whose log lines read "… failed (SSL: error:…)".
local ffi = require "ffi"
local ssl = require "server.tls.library"

local ffi_string = ffi.string
local concat = table.concat

local ERROR_SIZE = 256
local text = ffi.new("char[?]", ERROR_SIZE)

local _M = {}

_M.clear = ssl.ERR_clear_error

-- All that the queue holds, as nginx writes it ("(SSL: error:0A000086:…)"), or "" when it is empty.
-- The queue is empty afterwards.
function _M.describe()
    local parts = {}
    while true do
        local code = ssl.ERR_get_error()
        if code == 0 then
            break
        end
        ssl.ERR_error_string_n(code, text, ERROR_SIZE)
        parts[#parts + 1] = ffi_string(text)
    end
    if not parts[1] then
        return ""
    end
    return "(SSL: " .. concat(parts, " ") .. ")"
end

-- The reason of the last error alone ("no start line"), or nil. The queue is empty afterwards.
function _M.reason()
    local code = ssl.ERR_peek_last_error()
    ssl.ERR_clear_error()
    local reason = code ~= 0 and ssl.ERR_reason_error_string(code) or nil
    return reason ~= nil and ffi_string(reason) or nil
end

return _M
