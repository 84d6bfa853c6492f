-- Owns what a TLS connection tells of its keys: random values, master key, exported keying material, and the
-- ciphers that both sides have. Functions take an SSL *.
local ffi = require "ffi"
local failure = require "server.tls.failure"
local log = require "server.log"
local ssl = require "server.tls.library"

local ffi_string, ffi_new = ffi.string, ffi.new
local tonumber = tonumber
local band = bit.band

local _M = {}

-- Bytes that get(object, out, size) gives: at most size of them; with size 0 how many there are.
local function read(get, object, size)
    local out = ffi_new("unsigned char[?]", size + 1)
    local length = tonumber(get(object, out, size))
    return size == 0 and length or ffi_string(out, length)
end

function _M.client_random(connection, size)
    return read(ssl.SSL_get_client_random, connection, size or 32)
end

function _M.server_random(connection, size)
    return read(ssl.SSL_get_server_random, connection, size or 32)
end

function _M.master_key(connection, size)
    return read(ssl.SSL_SESSION_get_master_key, ssl.SSL_get_session(connection), size or 48)
end

local function exported(name, done, out, size)
    if done == 1 then
        return ffi_string(out, size)
    end
    log.info(name, " rc: ", done, ", error: ", failure.describe())
    return nil, name .. "() failed"
end

-- RFC 5705. context: nil is none, which differs from "". Returns size bytes, or nil and an error text.
function _M.export(connection, size, label, context)
    local out = ffi_new("unsigned char[?]", size)
    local done = ssl.SSL_export_keying_material(connection, out, size, label, #label, context,
        context and #context or 0, context and 1 or 0)
    return exported("SSL_export_keying_material", done, out, size)
end

-- The same of TLS 1.3's early secret.
function _M.export_early(connection, size, label, context)
    local out = ffi_new("unsigned char[?]", size)
    local done = ssl.SSL_export_keying_material_early(connection, out, size, label, #label, context,
        context and #context or 0)
    return exported("SSL_export_keying_material_early", done, out, size)
end

local function ids(stack)
    local found = {}
    for i = 0, ssl.OPENSSL_sk_num(stack) - 1 do
        found[i + 1] = ssl.SSL_CIPHER_get_protocol_id(ssl.OPENSSL_sk_value(stack, i))
    end
    return found
end

-- The numbers of the ciphers that both sides have, in our order. filter: leave GREASE values (RFC 8701) out.
function _M.shared_ciphers(connection, filter)
    local theirs = {}
    for _, id in ipairs(ids(ssl.SSL_get_client_ciphers(connection))) do
        theirs[id] = true
    end
    local ours, shared = ssl.SSL_get1_supported_ciphers(connection), {}
    for _, id in ipairs(ids(ours)) do
        if theirs[id] and not (filter and band(id, 0x0f0f) == 0x0a0a) then
            shared[#shared + 1] = id
        end
    end
    ssl.OPENSSL_sk_free(ours)
    return shared
end

return _M
