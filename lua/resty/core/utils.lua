-- Owns the module resty.core.utils. Source: lua-resty-core.
local base = require "resty.core.base"
local ffi = require "ffi"

local byte, str_find = string.byte, string.find

local _M = { version = base.version }

-- str, if it holds `find`, with the first byte of that replaced by the first one of `replace` wherever it stands.
function _M.str_replace_char(str, find, replace)
    if not str_find(str, find, 1, true) then
        return str
    end
    local from, to, size = byte(find), byte(replace), #str
    local buffer = base.get_string_buf(size)
    ffi.copy(buffer, str, size)
    for i = 0, size - 1 do
        if buffer[i] == from then
            buffer[i] = to
        end
    end
    return ffi.string(buffer, size)
end

return _M
