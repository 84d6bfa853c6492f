-- Owns the encryption of secrets in the store: AES-CBC with the keys of config.yaml's
-- apisix.data_encryption.keyring, a key being its own IV, the result as base64. Must never log a value.
-- Mirrors apisix.core.data_encryption, so that values written by either are read by both.
local aes = require "resty.aes"
local config_local = require "apisix.core.config_local"
local ffi = require "ffi"
local log = require "apisix.core.log"
local try_read_attr = require("apisix.core.table").try_read_attr

local C = ffi.C
local decode_base64 = ngx.decode_base64
local encode_base64 = ngx.encode_base64
local assert = assert
local ipairs = ipairs
local type = type

ffi.cdef "void ERR_clear_error(void);" -- libcrypto's, which resty.aes has loaded

local BITS = { [16] = 128, [32] = 256 } -- of AES, by the length of a key in bytes

local _M = {}

-- keys: a key or an array of keys, of 16 or 32 bytes; any other length is logged and left out. Returns an array
-- of ciphers.
function _M.init_iv_tbl(keys)
    local ciphers = {}
    if type(keys) == "string" then
        keys = { keys }
    end
    for _, key in ipairs(type(keys) == "table" and keys or {}) do
        local bits = BITS[#key]
        if bits then
            ciphers[#ciphers + 1] = assert(aes:new(key, nil, aes.cipher(bits, "cbc"), { iv = key }))
        else
            log.error("ignored data_encryption keyring entry: expected a 16 byte (AES-128) or 32 byte (AES-256) ",
                "key, got ", #key, " bytes")
        end
    end
    return ciphers
end

-- Returns text encrypted with the first of ciphers, as base64; or nil, err.
function _M.aes_cbc_encrypt(ciphers, text)
    local cipher = ciphers[1]
    if not cipher then
        return nil, "no keyring configured"
    end
    local encrypted = cipher:encrypt(text)
    if not encrypted then
        return nil, "failed to encrypt"
    end
    return encode_base64(encrypted)
end

-- Returns what the first of ciphers that can makes of text; or nil, err, in which subject (optional) says what
-- it was to be.
function _M.aes_cbc_decrypt(ciphers, text, subject)
    local what = subject and subject .. " " or ""
    local encrypted = decode_base64(text)
    if not encrypted then
        return nil, "base64 decode " .. what .. "failed"
    end
    for _, cipher in ipairs(ciphers) do
        local decrypted = cipher:decrypt(encrypted)
        if decrypted then
            return decrypted
        end
        C.ERR_clear_error() -- or TLS on this thread would take the failure for its own
    end
    return nil, "decrypt " .. what .. "failed"
end

local keyring

local function get_keyring()
    if not keyring then
        local conf = config_local.local_conf()
        keyring = _M.init_iv_tbl(try_read_attr(conf, "apisix", "data_encryption", "keyring"))
    end
    return keyring
end

-- Has config.yaml a key to encrypt with?
function _M.has_keyring()
    return get_keyring()[1] ~= nil
end

-- Returns text as it is to be stored: as it is where there is no key.
function _M.encrypt(text)
    if not _M.has_keyring() then
        return text
    end
    local encrypted, err = _M.aes_cbc_encrypt(keyring, text)
    if not encrypted then
        log.error("failed to encrypt the data: ", err)
        return text
    end
    return encrypted
end

-- Returns what encrypt() was given, whichever key of the ring it had; or nil, err. Without a key text is
-- returned as it is.
function _M.decrypt(text, subject)
    if not _M.has_keyring() then
        return text
    end
    return _M.aes_cbc_decrypt(keyring, text, subject)
end

return _M
