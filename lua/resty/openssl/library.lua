-- Owns the FFI declarations of libcrypto that resty.openssl needs: types by OpenSSL's tags, so that objects of other
-- FFI code fit; functions under names of our own. Must hold no logic. Needs OpenSSL 3.
local ffi = require "ffi"
local foreign = require "server.foreign"
require "ngx.api.libcrypto" -- which loads libcrypto globally

return foreign.declare("pygw_crypto_", [[
unsigned long OpenSSL_version_num(void);
const char *OpenSSL_version(int t);
const char *OPENSSL_info(int t);
void CRYPTO_free(void *memory, const char *file, int line);

unsigned long ERR_get_error_all(const char **file, int *line, const char **func, const char **data, int *flags);
unsigned long ERR_peek_last_error_all(const char **file, int *line, const char **func, const char **data, int *flags);
unsigned long ERR_peek_error(void);
unsigned long ERR_peek_last_error(void);
const char *ERR_lib_error_string(unsigned long e);
const char *ERR_reason_error_string(unsigned long e);
void ERR_clear_error(void);

int OBJ_txt2nid(const char *s);
int OBJ_obj2nid(const struct asn1_object_st *o);
int OBJ_obj2txt(char *buf, int size, const struct asn1_object_st *o, int no_name);
struct asn1_object_st *OBJ_nid2obj(int nid);
struct asn1_object_st *OBJ_txt2obj(const char *s, int no_name);
const char *OBJ_nid2sn(int nid);
const char *OBJ_nid2ln(int nid);
int OBJ_find_sigid_algs(int signid, int *digest, int *key);
int OBJ_create(const char *oid, const char *sn, const char *ln);
void ASN1_OBJECT_free(struct asn1_object_st *o);

const void *OSSL_PROVIDER_get0_name(const void *provider);

struct evp_md_st *EVP_MD_fetch(void *ctx, const char *algorithm, const char *properties);
void EVP_MD_free(struct evp_md_st *md);
const struct evp_md_st *EVP_md_null(void);
int EVP_MD_get_size(const struct evp_md_st *md);
const void *EVP_MD_get0_provider(const struct evp_md_st *md);
struct evp_md_ctx_st *EVP_MD_CTX_new(void);
void EVP_MD_CTX_free(struct evp_md_ctx_st *ctx);
int EVP_DigestInit_ex(struct evp_md_ctx_st *ctx, const struct evp_md_st *type, void *impl);
int EVP_DigestUpdate(struct evp_md_ctx_st *ctx, const void *data, size_t len);
int EVP_DigestFinal_ex(struct evp_md_ctx_st *ctx, unsigned char *md, unsigned int *len);

struct hmac_ctx_st *HMAC_CTX_new(void);
void HMAC_CTX_free(struct hmac_ctx_st *ctx);
int HMAC_Init_ex(struct hmac_ctx_st *ctx, const void *key, int len, const struct evp_md_st *md, void *impl);
int HMAC_Update(struct hmac_ctx_st *ctx, const void *data, size_t len);
int HMAC_Final(struct hmac_ctx_st *ctx, unsigned char *md, unsigned int *len);

struct evp_mac_st *EVP_MAC_fetch(void *ctx, const char *algorithm, const char *properties);
void EVP_MAC_free(struct evp_mac_st *mac);
const void *EVP_MAC_get0_provider(const struct evp_mac_st *mac);
struct evp_mac_ctx_st *EVP_MAC_CTX_new(struct evp_mac_st *mac);
void EVP_MAC_CTX_free(struct evp_mac_ctx_st *ctx);
size_t EVP_MAC_CTX_get_mac_size(struct evp_mac_ctx_st *ctx);
int EVP_MAC_init(struct evp_mac_ctx_st *ctx, const void *key, size_t len, const void *params);
int EVP_MAC_update(struct evp_mac_ctx_st *ctx, const void *data, size_t len);
int EVP_MAC_final(struct evp_mac_ctx_st *ctx, unsigned char *out, size_t *len, size_t size);

struct evp_cipher_st *EVP_CIPHER_fetch(void *ctx, const char *algorithm, const char *properties);
void EVP_CIPHER_free(struct evp_cipher_st *cipher);
const void *EVP_CIPHER_get0_provider(const struct evp_cipher_st *cipher);
struct evp_cipher_ctx_st *EVP_CIPHER_CTX_new(void);
void EVP_CIPHER_CTX_free(struct evp_cipher_ctx_st *ctx);
int EVP_CIPHER_CTX_get_block_size(const struct evp_cipher_ctx_st *ctx);
int EVP_CIPHER_CTX_get_key_length(const struct evp_cipher_ctx_st *ctx);
int EVP_CIPHER_CTX_get_iv_length(const struct evp_cipher_ctx_st *ctx);
int EVP_CIPHER_CTX_set_padding(struct evp_cipher_ctx_st *ctx, int padding);
int EVP_CIPHER_CTX_ctrl(struct evp_cipher_ctx_st *ctx, int type, int arg, void *ptr);
int EVP_CipherInit_ex(struct evp_cipher_ctx_st *ctx, const struct evp_cipher_st *cipher, void *impl, const char *key,
    const char *iv, int encrypt);
int EVP_CipherUpdate(struct evp_cipher_ctx_st *ctx, unsigned char *out, int *n, const char *data, int size);
int EVP_CipherFinal_ex(struct evp_cipher_ctx_st *ctx, unsigned char *out, int *n);
int EVP_BytesToKey(const struct evp_cipher_st *cipher, const struct evp_md_st *md, const char *salt, const char *data,
    int size, int count, unsigned char *key, unsigned char *iv);

struct evp_kdf_st *EVP_KDF_fetch(void *ctx, const char *algorithm, const char *properties);
void EVP_KDF_free(struct evp_kdf_st *kdf);
const void *EVP_KDF_get0_provider(const struct evp_kdf_st *kdf);
struct evp_kdf_ctx_st *EVP_KDF_CTX_new(struct evp_kdf_st *kdf);
void EVP_KDF_CTX_free(struct evp_kdf_ctx_st *ctx);
void EVP_KDF_CTX_reset(struct evp_kdf_ctx_st *ctx);
size_t EVP_KDF_CTX_get_kdf_size(struct evp_kdf_ctx_st *ctx);
const struct pygw_ossl_param *EVP_KDF_CTX_settable_params(struct evp_kdf_ctx_st *ctx);
int EVP_KDF_derive(struct evp_kdf_ctx_st *ctx, unsigned char *key, size_t size, const void *params);

int RAND_bytes_ex(void *ctx, unsigned char *buf, size_t num, unsigned int strength);
int RAND_priv_bytes_ex(void *ctx, unsigned char *buf, size_t num, unsigned int strength);

struct bignum_st *BN_new(void);
void BN_free(struct bignum_st *a);
struct bignum_st *BN_dup(const struct bignum_st *a);
struct bignum_st *BN_bin2bn(const char *s, int len, struct bignum_st *ret);
struct bignum_st *BN_mpi2bn(const char *s, int len, struct bignum_st *ret);
int BN_hex2bn(struct bignum_st **a, const char *s);
int BN_dec2bn(struct bignum_st **a, const char *s);
int BN_set_word(struct bignum_st *a, uint64_t w);
uint64_t BN_get_word(const struct bignum_st *a);
int BN_num_bits(const struct bignum_st *a);
int BN_bn2bin(const struct bignum_st *a, unsigned char *to);
int BN_bn2binpad(const struct bignum_st *a, unsigned char *to, int len);
int BN_bn2mpi(const struct bignum_st *a, unsigned char *to);
char *BN_bn2hex(const struct bignum_st *a);
char *BN_bn2dec(const struct bignum_st *a);
int BN_generate_prime_ex(struct bignum_st *a, int bits, int safe, const void *add, const void *rem, void *cb);
int BN_check_prime(const struct bignum_st *a, struct bignum_ctx *ctx, void *cb);
struct bignum_ctx *BN_CTX_new(void);
void BN_CTX_free(struct bignum_ctx *ctx);
int BN_is_negative(const struct bignum_st *a);
void BN_set_negative(struct bignum_st *a, int n);
int BN_is_zero(const struct bignum_st *a);
int BN_is_one(const struct bignum_st *a);
int BN_is_word(const struct bignum_st *a, uint64_t w);
int BN_is_odd(const struct bignum_st *a);
int BN_cmp(const struct bignum_st *a, const struct bignum_st *b);
int BN_add(struct bignum_st *r, const struct bignum_st *a, const struct bignum_st *b);
int BN_sub(struct bignum_st *r, const struct bignum_st *a, const struct bignum_st *b);
int BN_mul(struct bignum_st *r, const struct bignum_st *a, const struct bignum_st *b, struct bignum_ctx *ctx);
int BN_div(struct bignum_st *q, struct bignum_st *r, const struct bignum_st *a, const struct bignum_st *b,
    struct bignum_ctx *ctx);
int BN_sqr(struct bignum_st *r, const struct bignum_st *a, struct bignum_ctx *ctx);
int BN_gcd(struct bignum_st *r, const struct bignum_st *a, const struct bignum_st *b, struct bignum_ctx *ctx);
int BN_exp(struct bignum_st *r, const struct bignum_st *a, const struct bignum_st *b, struct bignum_ctx *ctx);
int BN_mod_add(struct bignum_st *r, const struct bignum_st *a, const struct bignum_st *b, const struct bignum_st *m,
    struct bignum_ctx *ctx);
int BN_mod_sub(struct bignum_st *r, const struct bignum_st *a, const struct bignum_st *b, const struct bignum_st *m,
    struct bignum_ctx *ctx);
int BN_mod_mul(struct bignum_st *r, const struct bignum_st *a, const struct bignum_st *b, const struct bignum_st *m,
    struct bignum_ctx *ctx);
int BN_mod_exp(struct bignum_st *r, const struct bignum_st *a, const struct bignum_st *b, const struct bignum_st *m,
    struct bignum_ctx *ctx);
int BN_mod_sqr(struct bignum_st *r, const struct bignum_st *a, const struct bignum_st *m, struct bignum_ctx *ctx);
int BN_lshift(struct bignum_st *r, const struct bignum_st *a, int n);
int BN_rshift(struct bignum_st *r, const struct bignum_st *a, int n);
]], ffi.C)
