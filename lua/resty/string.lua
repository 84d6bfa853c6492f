-- Owns the module resty.string: to_hex and atoi (openresty/lua-resty-string).
local hexcodec = require "ngx.api.hexcodec"

local tonumber = tonumber

local NOT_A_NUMBER = -1
local MAX = 9223372036854775807ULL

local _M = { _VERSION = "0.17" }

-- to_hex(str) -> its lower-case hexadecimal digits
_M.to_hex = hexcodec.encode

-- atoi(str) -> the number that its decimal digits say; -1 if there is anything else in it, nothing at
-- all, or more than 64 bits (nginx's ngx_atoi).
function _M.atoi(str)
    local significant = str:match("^0*(%d*)$")
    if str == "" or not significant or #significant > 19 then
        return NOT_A_NUMBER
    end
    local value = 0ULL
    for digit in significant:gmatch("%d") do
        value = value * 10 + tonumber(digit)
    end
    return value <= MAX and tonumber(value) or NOT_A_NUMBER
end

return _M
