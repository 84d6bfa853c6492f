-- Owns how keys are read from PEM, DER and JWK, and written as PEM and DER.
local ffi = require "ffi"
local C = require "resty.openssl.pkey.library"
local base = require "resty.openssl.library"
local format_error = require("resty.openssl.err").format_error
local jwk = require "resty.openssl.auxiliary.jwk"

local ffi_gc, ffi_new, ffi_string = ffi.gc, ffi.new, ffi.string
local find, ipairs, type = string.find, ipairs, type

local BIO_RESET, BIO_INFO = 1, 3 -- BIO_CTRL_… of openssl/bio.h

local _M = {}

-- Each: format, type, whether a passphrase may be needed, the function. Private keys first, as a public key can be
-- read from them too.
local READERS = {
    { "PEM", "pr", "PEM_read_bio_PrivateKey" },
    { "PEM", "pu", "PEM_read_bio_PUBKEY" },
    { "DER", "pr", "d2i_PrivateKey_bio" },
    { "DER", "pu", "d2i_PUBKEY_bio" },
}
local FORMATS = { PEM = true, DER = true, JWK = true, ["*"] = true }
local TYPES = { pr = true, pu = true, ["*"] = true }

-- The passphrase of a PEM; "" without one: OpenSSL would ask at the terminal. nil and an error if it is no string.
local function passphrase_of(text, opts)
    local passphrase = opts.passphrase
    if passphrase == nil and opts.passphrase_cb and find(text, "ENCRYPTED", 1, true) then
        passphrase = opts.passphrase_cb()
    end
    if passphrase ~= nil and type(passphrase) ~= "string" then
        return nil, "passphrase must be a string"
    end
    return passphrase or ""
end

local function read_with(name, bio, passphrase)
    C.BIO_ctrl(bio, BIO_RESET, 0, nil)
    if find(name, "PEM", 1, true) then
        return C[name](bio, nil, nil, passphrase)
    end
    return C[name](bio, nil)
end

local function read_any(text, format, kind, passphrase)
    local bio = C.BIO_new_mem_buf(text, #text)
    if bio == nil then
        return nil, "BIO_new_mem_buf() failed"
    end
    ffi_gc(bio, C.BIO_free)
    for _, reader in ipairs(READERS) do
        if (format == "*" or format == reader[1]) and (kind == "*" or kind == reader[2]) then
            local key = read_with(reader[3], bio, passphrase)
            if key ~= nil then
                base.ERR_clear_error() -- what the readers before it did not like
                return key
            end
        end
    end
    return nil, format_error()
end

-- A struct evp_pkey_st * of its own, or nil and an error. opts: format ("PEM", "DER", "JWK", "*"), type ("pr", "pu",
-- "*"), passphrase, passphrase_cb, properties.
function _M.read(text, opts)
    local format, kind = opts.format or "*", opts.type or "*"
    if not FORMATS[format] then
        return nil, "expecting 'DER', 'PEM', 'JWK' or '*' as \"format\""
    elseif not TYPES[kind] then
        return nil, "expecting 'pr', 'pu' or '*' as \"type\""
    end
    if format == "JWK" or format == "*" and find(text, "^%s*{") then
        return jwk.load_jwk(text, kind, opts.properties)
    end
    local passphrase, err = passphrase_of(text, opts)
    if not passphrase then
        return nil, err
    end
    return read_any(text, format, kind, passphrase)
end

-- What write(bio, …) writes, or nil and an error.
function _M.written(write, ...)
    local bio = C.BIO_new(C.BIO_s_mem())
    if bio == nil then
        return nil, "BIO_new() failed"
    end
    ffi_gc(bio, C.BIO_free)
    if write(bio, ...) ~= 1 then
        return nil, format_error("bio_util.read_wrap")
    end
    local data = ffi_new("char *[1]")
    local size = C.BIO_ctrl(bio, BIO_INFO, 0, data)
    return ffi_string(data[0], size)
end

-- The key as PEM (unless format is "DER").
function _M.write(key, private, format)
    if format == "DER" then
        return _M.written(private and C.i2d_PrivateKey_bio or C.i2d_PUBKEY_bio, key)
    elseif private then
        return _M.written(C.PEM_write_bio_PrivateKey, key, nil, nil, 0, nil, nil)
    end
    return _M.written(C.PEM_write_bio_PUBKEY, key)
end

return _M
