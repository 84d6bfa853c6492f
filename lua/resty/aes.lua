-- Owns the module resty.aes: AES in the modes that libcrypto has (API of lua-resty-string).
local ffi = require "ffi"
local crypto = require "ngx.api.libcrypto" -- it also loads libcrypto

local C = ffi.C
local ffi_copy, ffi_gc, ffi_new, ffi_string = ffi.copy, ffi.gc, ffi.new, ffi.string
local check_string = require("server.argcheck").check_string
local context_of = crypto.context_of
local setmetatable, type = setmetatable, type

ffi.cdef [[
void *pygw_EVP_CIPHER_CTX_new(void) __asm__("EVP_CIPHER_CTX_new");
void pygw_EVP_CIPHER_CTX_free(void *ctx) __asm__("EVP_CIPHER_CTX_free");
int pygw_EVP_CIPHER_CTX_set_padding(void *ctx, int padding) __asm__("EVP_CIPHER_CTX_set_padding");
int pygw_EVP_CIPHER_CTX_ctrl(void *ctx, int type, int arg, void *ptr) __asm__("EVP_CIPHER_CTX_ctrl");
const void *pygw_EVP_get_cipherbyname(const char *name) __asm__("EVP_get_cipherbyname");
int pygw_EVP_CipherInit_ex(void *ctx, const void *cipher, void *impl, const void *key, const void *iv, int encrypt)
    __asm__("EVP_CipherInit_ex");
int pygw_EVP_CipherUpdate(void *ctx, unsigned char *out, int *n, const void *from, int size)
    __asm__("EVP_CipherUpdate");
int pygw_EVP_CipherFinal_ex(void *ctx, unsigned char *out, int *n) __asm__("EVP_CipherFinal_ex");
int pygw_EVP_BytesToKey(const void *cipher, const void *digest, const void *salt, const void *data, int size,
    int count, unsigned char *key, unsigned char *iv) __asm__("EVP_BytesToKey");
]]

local SET_IVLEN, GET_TAG, SET_TAG = 0x09, 0x10, 0x11 -- EVP_CTRL_AEAD_…
local TAG = 16 -- bytes
local MAX_BLOCK = 32
local KEY_MAX = 64 -- bytes, EVP_MAX_KEY_LENGTH
local SALT = 8
local DECRYPT, ENCRYPT = 0, 1
local AEAD = { gcm = true, ccm = true, ocb = true }

local _M = { _VERSION = "0.17", hash = {} }
local metatable = { __index = _M }

for _, name in ipairs { "md5", "sha1", "sha224", "sha256", "sha384", "sha512" } do
    _M.hash[name] = crypto.digest_type(name)
end

local length, more = ffi_new("int[1]"), ffi_new("int[1]")

-- The cipher of that key size in bits (128) and mode ("cbc"); nil when libcrypto has none.
function _M.cipher(size, mode)
    size, mode = size or 128, mode or "cbc"
    local method = C.pygw_EVP_get_cipherbyname("aes-" .. size .. "-" .. (mode == "cfb128" and "cfb" or mode))
    return method ~= nil and { size = size, cipher = mode, method = method } or nil
end

-- Key and IV as they are given: the key may be the digest (hash.method) of what is given. Returns the length of
-- the IV, or nil and an error text.
local function take_key(key, hash, size, to_key, to_iv)
    if not hash.iv then
        return nil, "iv is needed"
    elseif #hash.iv > size then
        return nil, "bad iv length"
    end
    if hash.method then
        key = hash.method(key)
    end
    if #key ~= size then
        return nil, "bad key length"
    end
    ffi_copy(to_key, key, size)
    ffi_copy(to_iv, hash.iv, #hash.iv)
    return #hash.iv
end

-- Key and IV made of a password.
local function derive_key(cipher, key, salt, hash, rounds, size, to_key, to_iv)
    if salt and #salt ~= SALT then
        return nil, "salt must be 8 characters or nil"
    elseif C.pygw_EVP_BytesToKey(cipher.method, hash, salt, key, #key, rounds, to_key, to_iv) ~= size then
        return nil, "failed to generate key and iv"
    end
    return true
end

local function new_context(cipher, iv_length, padding, direction, name)
    local ctx = C.pygw_EVP_CIPHER_CTX_new()
    if ctx == nil then
        return nil, "no memory"
    end
    ffi_gc(ctx, C.pygw_EVP_CIPHER_CTX_free)
    if C.pygw_EVP_CipherInit_ex(ctx, cipher.method, nil, nil, nil, direction) == 0 then
        return nil, "failed to init ctx"
    elseif AEAD[cipher.cipher] and C.pygw_EVP_CIPHER_CTX_ctrl(ctx, SET_IVLEN, iv_length, nil) == 0 then
        return nil, "failed to set IV length"
    elseif C.pygw_EVP_CIPHER_CTX_set_padding(ctx, padding) == 0 then
        return nil, "failed to set padding for " .. name .. " context"
    end
    return ctx
end

-- key: a password; salt: 8 bytes or nil; cipher: of _M.cipher() (AES-128-CBC); hash: of _M.hash (md5), or a table
-- {iv, method} with which key (or method(key)) is the key itself; rounds (1) of hashing; iv_length: bytes, of AEAD
-- modes; padding (true). Returns an object with encrypt() and decrypt(), or nil and an error text.
function _M.new(_, key, salt, cipher, hash, rounds, iv_length, padding)
    cipher, hash = cipher or _M.cipher(), hash or _M.hash.md5
    local size = cipher.size / 8
    local digest = type(hash) == "cdata" or type(hash) == "table"
    if type(cipher.method) ~= "cdata" or not digest or size ~= size or size > KEY_MAX then
        return nil, "bad cipher or hash"
    end
    key, salt = check_string(1, 2, key), salt and check_string(1, 3, salt)
    local self = {
        _key = ffi_new("unsigned char[?]", KEY_MAX), _iv = ffi_new("unsigned char[?]", KEY_MAX),
        _cipher = cipher.cipher,
    }
    local ok, err
    if type(hash) == "table" then
        iv_length, err = take_key(key, hash, size, self._key, self._iv)
        ok = iv_length
    else
        ok, err = derive_key(cipher, key, salt, hash, rounds or 1, size, self._key, self._iv)
    end
    if not ok then
        return nil, err
    end
    padding = (padding == nil or padding) and 1 or 0
    for name, direction in pairs { encrypt = ENCRYPT, decrypt = DECRYPT } do
        self["_" .. name .. "_ctx"], err = new_context(cipher, iv_length or size, padding, direction, name)
        if err then
            return nil, err
        end
    end
    return setmetatable(self, metatable)
end

-- Put text through ctx. Returns the buffer and the number of bytes before the last step; or nil and an error text.
local function update(self, ctx, direction, text, aad, name)
    if C.pygw_EVP_CipherInit_ex(ctx, nil, nil, self._key, self._iv, direction) == 0 then
        return nil, "EVP_" .. name .. "Init_ex failed"
    elseif aad and self._cipher == "gcm" and C.pygw_EVP_CipherUpdate(ctx, nil, more, aad, #aad) == 0 then
        return nil, "C.EVP_" .. name .. "Update failed"
    end
    local out = ffi_new("unsigned char[?]", #text + 2 * MAX_BLOCK)
    if C.pygw_EVP_CipherUpdate(ctx, out, length, text, #text) == 0 then
        return nil, "EVP_" .. name .. "Update failed"
    end
    return out, length[0]
end

local function finish(ctx, out, n, name)
    if C.pygw_EVP_CipherFinal_ex(ctx, out + n, more) == 0 then
        return nil, "EVP_" .. name .. "Final_ex failed"
    end
    return ffi_string(out, n + more[0])
end

-- Returns the ciphertext; with GCM a table {ciphertext, tag}. aad: further data that the tag is to cover.
-- nil and an error text when it cannot be done.
function _M.encrypt(self, text, aad)
    local ctx = context_of(self, "_encrypt_ctx")
    local out, n = update(self, ctx, ENCRYPT, text, aad, "Encrypt")
    if not out then
        return nil, n
    end
    local data, err = finish(ctx, out, n, "Encrypt")
    if not data then
        return nil, err
    elseif self._cipher == "gcm" then
        C.pygw_EVP_CIPHER_CTX_ctrl(ctx, GET_TAG, TAG, out)
        return { data, ffi_string(out, TAG) }
    end
    return data
end

-- Returns the text, or nil and an error text. tag, aad: of GCM.
function _M.decrypt(self, text, tag, aad)
    local ctx = context_of(self, "_decrypt_ctx")
    local out, n = update(self, ctx, DECRYPT, text, aad, "Decrypt")
    if not out then
        return nil, n
    end
    if tag and #tag < TAG then
        return nil, "bad tag"
    elseif tag and self._cipher == "gcm" then
        local held = ffi_new("unsigned char[?]", TAG)
        ffi_copy(held, tag, TAG)
        C.pygw_EVP_CIPHER_CTX_ctrl(ctx, SET_TAG, TAG, held)
    end
    return finish(ctx, out, n, "Decrypt")
end

return _M
