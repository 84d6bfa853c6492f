-- Owns the FFI declarations of libcrypto that digests, HMACs and random bytes need. Loads it globally,
-- so that OpenResty libraries that reach for ffi.C.EVP_… find it. The names are aliased, so that a
-- library that declares the same functions with its own types is not disturbed.
local ffi = require "ffi"

local error, rawget, type = error, rawget, type
local ipairs = ipairs
local pcall = pcall

local NAMES = { "libcrypto.so.3", "libcrypto.so.1.1", "crypto" }

ffi.cdef [[
void *pygw_EVP_MD_CTX_new(void) __asm__("EVP_MD_CTX_new");
void pygw_EVP_MD_CTX_free(void *ctx) __asm__("EVP_MD_CTX_free");
const void *pygw_EVP_get_digestbyname(const char *name) __asm__("EVP_get_digestbyname");
int pygw_EVP_DigestInit_ex(void *ctx, const void *type, void *impl) __asm__("EVP_DigestInit_ex");
int pygw_EVP_DigestUpdate(void *ctx, const void *data, size_t len) __asm__("EVP_DigestUpdate");
int pygw_EVP_DigestFinal_ex(void *ctx, unsigned char *md, unsigned int *len)
    __asm__("EVP_DigestFinal_ex");
void *pygw_HMAC_CTX_new(void) __asm__("HMAC_CTX_new");
void pygw_HMAC_CTX_free(void *ctx) __asm__("HMAC_CTX_free");
int pygw_HMAC_Init_ex(void *ctx, const void *key, int len, const void *type, void *impl)
    __asm__("HMAC_Init_ex");
int pygw_HMAC_Update(void *ctx, const void *data, size_t len) __asm__("HMAC_Update");
int pygw_HMAC_Final(void *ctx, unsigned char *md, unsigned int *len) __asm__("HMAC_Final");
int pygw_RAND_bytes(unsigned char *buf, int num) __asm__("RAND_bytes");
]]

local function load()
    local reason
    for _, name in ipairs(NAMES) do
        local loaded, lib = pcall(ffi.load, name, true)
        if loaded then
            return lib
        end
        reason = reason or lib
    end
    error("digests need OpenSSL's libcrypto (Debian package libssl3): " .. reason, 0)
end

local lib = load()

local _M = {
    md_ctx_new = lib.pygw_EVP_MD_CTX_new,
    md_ctx_free = lib.pygw_EVP_MD_CTX_free,
    digest_init = lib.pygw_EVP_DigestInit_ex,
    digest_update = lib.pygw_EVP_DigestUpdate,
    digest_final = lib.pygw_EVP_DigestFinal_ex,
    hmac_ctx_new = lib.pygw_HMAC_CTX_new,
    hmac_ctx_free = lib.pygw_HMAC_CTX_free,
    hmac_init = lib.pygw_HMAC_Init_ex,
    hmac_update = lib.pygw_HMAC_Update,
    hmac_final = lib.pygw_HMAC_Final,
    rand_bytes = lib.pygw_RAND_bytes,
}

-- The EVP_MD of a digest by its OpenSSL name, or nil where this libcrypto does not have it.
function _M.digest_type(name)
    local digest = lib.pygw_EVP_get_digestbyname(name)
    return digest ~= nil and digest or nil
end

-- The context in a field of an object; raises at the caller's caller when there is none: libcrypto takes whatever
-- it is given for one.
function _M.context_of(object, field)
    local context = type(object) == "table" and rawget(object, field)
    if type(context) ~= "cdata" then
        error("bad argument #1 self: table expected, got " .. type(object), 3)
    end
    return context
end

-- A new digest context, freed by the collector.
function _M.new_digest()
    return ffi.gc(_M.md_ctx_new(), _M.md_ctx_free)
end

-- A new HMAC context, freed by the collector.
function _M.new_hmac()
    return ffi.gc(_M.hmac_ctx_new(), _M.hmac_ctx_free)
end

return _M
