-- Owns the module ngx.ssl.clienthello: what the client offers, before anything is chosen.
-- Source: lua-resty-core, ngx.ssl.clienthello.
local ffi = require "ffi"
local contexts = require "server.tls.context"
local current = require "server.current"
local ssl = require "server.tls.library"

local ffi_string = ffi.string
local byte, sub = string.byte, string.sub
local error, ipairs, tonumber = error, ipairs, tonumber
local band, bor = bit.band, bit.bor

local SUPPORTED_VERSIONS = 43
local CIPHERS_MAX = 128
local BAD = "Bad SSL Client Hello Extension"

local _M = { version = "0.1.32" }

local pointer, size = ffi.new("const unsigned char *[1]"), ffi.new("size_t[1]")

local function connection_of()
    local r = current.request
    if not r then
        error("no request found", 3)
    elseif r.phase ~= "ssl_client_hello" then
        error("API disabled in the current context", 3)
    end
    return r.stream.ssl
end

local function extension(connection, number)
    if ssl.SSL_client_hello_get0_ext(connection, number, pointer, size) == 0 then
        return nil
    end
    return ffi_string(pointer[0], size[0])
end

local function number_at(bytes, at)
    local high, low = byte(bytes, at, at + 1)
    return bor(high * 256, low)
end

-- The name that the client asks for; nil when it asks for none; nil and an error text.
function _M.get_client_hello_server_name()
    local bytes = extension(connection_of(), 0)
    if not bytes then
        return nil
    elseif #bytes <= 2 or number_at(bytes, 1) + 2 ~= #bytes or byte(bytes, 3) ~= 0 or #bytes <= 5
        or number_at(bytes, 4) + 5 > #bytes
    then
        return nil, BAD
    end
    return sub(bytes, 6, 5 + number_at(bytes, 4))
end

-- The numbers of the extensions that are there (an array), or nil.
function _M.get_client_hello_ext_present()
    local connection, out = connection_of(), ffi.new("int *[1]")
    if ssl.SSL_client_hello_get1_extensions_present(connection, out, size) == 0 or out[0] == nil then
        return nil
    end
    local found = {}
    for i = 0, tonumber(size[0]) - 1 do
        found[i + 1] = out[0][i]
    end
    ssl.CRYPTO_free(out[0], "", 0)
    return found
end

-- The numbers of the ciphers that the client offers, without those that mean nothing (RFC 8701); or nil and an
-- error text.
function _M.get_client_hello_ciphers()
    local length = tonumber(ssl.SSL_client_hello_get0_ciphers(connection_of(), pointer))
    if length == 0 then
        return nil, "failed SSL_client_hello_get0_ciphers()"
    end
    local bytes, found = ffi_string(pointer[0], length), {}
    for i = 1, math.min(length / 2, CIPHERS_MAX) do
        local cipher = number_at(bytes, 2 * i - 1)
        if band(cipher, 0x0f0f) ~= 0x0a0a or band(cipher, 0xff) * 257 ~= cipher then
            found[#found + 1] = cipher
        end
    end
    return found
end

-- The bytes of an extension, by its number; nil when it is not there.
function _M.get_client_hello_ext(number)
    return extension(connection_of(), number)
end

local VERSIONS = {
    [0x002] = "SSLv2", [0x300] = "SSLv3", [0x301] = "TLSv1", [0x302] = "TLSv1.1", [0x303] = "TLSv1.2",
    [0x304] = "TLSv1.3",
}

-- The protocols of the supported_versions extension, the last one first; nil when it is not there or malformed.
function _M.get_supported_versions()
    local bytes = extension(connection_of(), SUPPORTED_VERSIONS)
    if not bytes or byte(bytes, 1) ~= #bytes - 1 then
        return nil
    end
    local found = {}
    for at = #bytes - 1, 2, -2 do
        found[#found + 1] = VERSIONS[number_at(bytes, at)]
    end
    return found
end

local KNOWN = { ["SSLv2"] = true }
for _, name in ipairs(contexts.PROTOCOLS) do
    KNOWN[name] = true
end

-- Speak these protocols only (an array of names) on this connection. Returns true, or nil and an error text.
function _M.set_protocols(protocols)
    local connection = connection_of()
    for _, name in ipairs(protocols) do
        if not KNOWN[name] then
            return nil, "invalid protocols failed"
        end
    end
    contexts.restrict(connection, table.concat(protocols, " "))
    return true
end

return _M
