-- Owns the module resty.openssl.err: OpenSSL's error queue as text (fffonion/lua-resty-openssl).
local ffi = require "ffi"
local C = require "resty.openssl.library"

local concat, find, format, sub = table.concat, string.find, string.format, string.sub
local ffi_string, tonumber, tostring = ffi.string, tonumber, tostring

local line, file, func = ffi.new("int[1]"), ffi.new("const char *[1]"), ffi.new("const char *[1]")
local last = 0

local _M = {}

-- The code of the error that OpenSSL met last; 0 if it met none.
function _M.get_last_error_code()
    local code = tonumber(C.ERR_peek_last_error())
    last = code == 0 and last or code
    return last
end

local function text_of(pointer, otherwise)
    return pointer ~= nil and ffi_string(pointer) or otherwise
end

-- The name of the part of OpenSSL that an error (by default the last one) comes from.
function _M.get_lib_error_string(code)
    return text_of(C.ERR_lib_error_string(code or _M.get_last_error_code()), "unknown library")
end

-- The reason of an error, by default of the last one.
function _M.get_reason_error_string(code)
    return text_of(C.ERR_reason_error_string(code or _M.get_last_error_code()), "")
end

-- "error:<code>:<library>:<function>:<reason>:<file>:<line>:"
local function describe(code)
    local path = text_of(file[0], "")
    local slash = find(path, "/", 1, true)
    if slash then
        path = sub(path, slash + 1)
    end
    return format("error:%X:%s:%s:%s:%s:%d:", code, _M.get_lib_error_string(code), text_of(func[0], ""),
        _M.get_reason_error_string(code), path, line[0])
end

-- What went wrong, as "<context>: [code: n ]error:…", or "<context> failed" if OpenSSL does not say. context: text or
-- nil; code: what the function returned, or nil; all: every error instead of the last. Empties the queue.
function _M.format_error(context, code, all)
    local parts = code and { format("code: %d", code) } or {}
    local take = all and C.ERR_get_error_all or C.ERR_peek_last_error_all
    while C.ERR_peek_error() ~= 0 do
        last = tonumber(take(file, line, func, nil, nil))
        parts[#parts + 1] = describe(last)
        if not all then
            break
        end
    end
    C.ERR_clear_error()
    if not parts[1] then
        return tostring(context) .. " failed"
    end
    return (context and context .. ": " or "") .. concat(parts, " ")
end

-- The same, with every error.
function _M.format_all_error(context, code)
    return _M.format_error(context, code, true)
end

return _M
