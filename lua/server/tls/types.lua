-- Owns the types of what OpenSSL objects user code holds, so that one cannot be given where another belongs: that
-- would end the process. Objects of other code's FFI have types of their own; they are taken as they are.
local ffi = require "ffi"

local cast, istype, typeof = ffi.cast, ffi.istype, ffi.typeof
local pairs, type = pairs, type

ffi.cdef [[
struct pygw_tls_chain; struct pygw_tls_key; struct pygw_tls_connection; struct pygw_tls_context;
struct pygw_tls_x509;
]]

local TYPES = {
    chain = typeof("struct pygw_tls_chain *"), key = typeof("struct pygw_tls_key *"),
    connection = typeof("struct pygw_tls_connection *"), context = typeof("struct pygw_tls_context *"),
    x509 = typeof("struct pygw_tls_x509 *"),
}

local _M = {}

-- A pointer as one of that kind ("chain", "key", "connection", "context", "x509").
function _M.mark(kind, pointer)
    return cast(TYPES[kind], pointer)
end

-- May value stand where an object of that kind is wanted: one of these, "session" (a void *, as it shows in
-- ngx_lua) or "store"?
function _M.fits(kind, value)
    if type(value) ~= "cdata" then
        return false
    end
    for name, ctype in pairs(TYPES) do
        if istype(ctype, value) then
            return name == kind
        end
    end
    if istype("void *", value) then
        return kind == "session"
    end
    return not istype("uint64_t", value) and not istype("int64_t", value)
end

return _M
