-- Owns the module resty.openssl.cipher: symmetric ciphers by name (fffonion/lua-resty-openssl).
local ffi = require "ffi"
local C = require "resty.openssl.library"
local algorithms = require "resty.openssl.algorithms"
local format_error = require("resty.openssl.err").format_error

local concat, format, rep, sub = table.concat, string.format, string.rep, string.sub
local ffi_cast, ffi_gc, ffi_new, ffi_string, istype = ffi.cast, ffi.gc, ffi.new, ffi.string, ffi.istype
local select, setmetatable, tonumber, tostring, type = select, setmetatable, tonumber, tostring, type

local CONTEXT = ffi.typeof("struct evp_cipher_ctx_st *")
local GET_TAG, SET_TAG = 0x10, 0x11 -- EVP_CTRL_AEAD_…
local SLACK = 64 -- bytes that the last step may add: more than any block
local SALT = 8

local length = ffi_new("int[1]")

local _M = {}
local metatable = { __index = _M }

-- name: of OpenSSL ("aes-256-gcm"). Returns a cipher, with its sizes in bytes as block_size, key_size and iv_size, or
-- nil and an error.
function _M.new(name, properties)
    if not name then
        return nil, "cipher.new: expect type to be defined"
    end
    local ctx = C.EVP_CIPHER_CTX_new()
    if ctx == nil then
        return nil, "cipher.new: failed to create EVP_CIPHER_CTX"
    end
    ffi_gc(ctx, C.EVP_CIPHER_CTX_free)
    local algo = algorithms.fetch("EVP_CIPHER", name, properties)
    if not algo or C.EVP_CipherInit_ex(ctx, algo, nil, nil, nil, -1) ~= 1 then
        return nil, format_error('cipher.new: invalid cipher type "' .. tostring(name) .. '"')
    end
    return setmetatable({
        ctx = ctx, algo = algo, initialized = false,
        block_size = C.EVP_CIPHER_CTX_get_block_size(ctx),
        key_size = C.EVP_CIPHER_CTX_get_key_length(ctx),
        iv_size = C.EVP_CIPHER_CTX_get_iv_length(ctx),
    }, metatable)
end

function _M.istype(value)
    return type(value) == "table" and istype(CONTEXT, value.ctx)
end

-- The size of the buffer is each call's own here; taken for compatibility.
function _M.set_buffer_size()
    return true
end

function _M:get_provider_name()
    return algorithms.provider_name("EVP_CIPHER", self.algo)
end

-- Begin. key, iv: bytes of exactly key_size and iv_size; opts: is_encrypt, no_padding. Returns true, or false and an
-- error.
function _M:init(key, iv, opts)
    if not key or #key ~= self.key_size then
        return false, format("cipher:init: incorrect key size, expect %d", self.key_size)
    elseif self.iv_size > 0 and (not iv or #iv ~= self.iv_size) then
        return false, format("cipher:init: incorrect iv size, expect %d", self.iv_size)
    end
    local encrypt = opts and opts.is_encrypt and 1 or 0
    if C.EVP_CipherInit_ex(self.ctx, self.algo, nil, key, iv, encrypt) == 0 then
        return false, format_error("cipher:init EVP_CipherInit_ex")
    end
    C.EVP_CIPHER_CTX_set_padding(self.ctx, opts and opts.no_padding and 0 or 1)
    self.initialized = true
    return true
end

local function uninitialized(name)
    return nil, "cipher:" .. name .. ": cipher not initalized, call cipher:init first"
end

-- Add data that the tag of an AEAD mode is to cover, unencrypted. Returns true, or false and an error.
function _M:update_aead_aad(data)
    if not self.initialized then
        return uninitialized("update_aead_aad")
    elseif C.EVP_CipherUpdate(self.ctx, nil, length, data, #data) ~= 1 then
        return false, format_error("cipher:update_aead_aad")
    end
    return true
end

-- The tag of what was encrypted. size: bytes, by default half the key's.
function _M:get_aead_tag(size)
    if not self.initialized then
        return uninitialized("get_aead_tag")
    end
    size = size or self.key_size / 2
    if size > self.key_size then
        return nil, format("tag size %d is too large", size)
    end
    local buffer = ffi_new("unsigned char[?]", size)
    if C.EVP_CIPHER_CTX_ctrl(self.ctx, GET_TAG, size, buffer) ~= 1 then
        return nil, format_error("cipher:get_aead_tag")
    end
    return ffi_string(buffer, size)
end

-- The tag that what is decrypted must have. Returns true, or false and an error.
function _M:set_aead_tag(tag)
    if not self.initialized then
        return uninitialized("set_aead_tag")
    elseif type(tag) ~= "string" then
        return false, "cipher:set_aead_tag expect a string at #1"
    elseif C.EVP_CIPHER_CTX_ctrl(self.ctx, SET_TAG, #tag, ffi_cast("void *", tag)) ~= 1 then
        return false, format_error("cipher:set_aead_tag")
    end
    return true
end

-- The bytes that come out when these strings are added; nil and an error on failure.
function _M:update(...)
    if not self.initialized then
        return uninitialized("update")
    end
    local parts = {}
    for i = 1, select("#", ...) do
        local text = select(i, ...)
        local buffer = ffi_new("unsigned char[?]", #text + SLACK)
        if C.EVP_CipherUpdate(self.ctx, buffer, length, text, #text) ~= 1 then
            return nil, format_error("cipher:update")
        end
        parts[i] = ffi_string(buffer, length[0])
    end
    return concat(parts)
end

-- The last bytes, of text if it is given; nil and an error if that fails, as with a wrong tag or padding.
function _M:final(text)
    if not self.initialized then
        return uninitialized("update")
    end
    text = text or ""
    local buffer = ffi_new("unsigned char[?]", #text + SLACK)
    local n = 0
    if text ~= "" then
        if C.EVP_CipherUpdate(self.ctx, buffer, length, text, #text) ~= 1 then
            return nil, format_error("cipher:final")
        end
        n = length[0]
    end
    if C.EVP_CipherFinal_ex(self.ctx, buffer + n, length) ~= 1 then
        return nil, format_error("cipher:final: EVP_CipherFinal_ex")
    end
    return ffi_string(buffer, n + length[0])
end

-- One text whole. aad: what the tag of an AEAD mode is to cover too. Returns the ciphertext, or nil and an error.
function _M:encrypt(key, iv, text, no_padding, aad)
    local ok, err = self:init(key, iv, { is_encrypt = true, no_padding = no_padding })
    if ok and aad then
        ok, err = self:update_aead_aad(aad)
    end
    if not ok then
        return nil, err
    end
    return self:final(text)
end

-- One ciphertext whole; tag: that of an AEAD mode. Returns the text, or nil and an error.
function _M:decrypt(key, iv, text, no_padding, aad, tag)
    local ok, err = self:init(key, iv, { no_padding = no_padding })
    if ok and aad then
        ok, err = self:update_aead_aad(aad)
    end
    if ok and tag then
        ok, err = self:set_aead_tag(tag)
    end
    if not ok then
        return nil, err
    end
    return self:final(text)
end

-- Key and IV made of a password as `openssl enc` does. salt: 8 bytes or nil; count: rounds (1); digest: a name
-- ("sha1"). Returns both, or nil, nil and an error.
function _M:derive(password, salt, count, digest, properties)
    if type(password) ~= "string" then
        return nil, nil, "cipher:derive: expect a string at #1"
    elseif salt and type(salt) ~= "string" then
        return nil, nil, "cipher:derive: expect a string at #2"
    elseif count and not tonumber(count) then
        return nil, nil, "cipher:derive: expect a number at #3"
    elseif digest and type(digest) ~= "string" then
        return nil, nil, "cipher:derive: expect a string or nil at #4"
    end
    salt = salt and sub(salt, 1, SALT) .. rep("\0", SALT - #salt)
    local md = algorithms.fetch("EVP_MD", digest or "sha1", properties)
    if not md then
        C.ERR_clear_error()
        return nil, nil, 'cipher:derive: invalid digest type "' .. digest .. '"'
    end
    local key, iv = ffi_new("unsigned char[?]", self.key_size), ffi_new("unsigned char[?]", self.iv_size)
    local size = C.EVP_BytesToKey(self.algo, md, salt, password, #password, tonumber(count) or 1, key, iv)
    if size == 0 then
        return nil, nil, format_error("cipher:derive: EVP_BytesToKey")
    end
    return ffi_string(key, size), ffi_string(iv, self.iv_size)
end

return _M
