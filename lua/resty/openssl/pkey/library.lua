-- Owns the FFI declarations of libcrypto for asymmetric keys and certificates; see resty.openssl.library, whose rules
-- hold here too.
local ffi = require "ffi"
local foreign = require "server.foreign"
require "resty.openssl.library"

return foreign.declare("pygw_crypto_", [[
void *BIO_new(const void *type);
const void *BIO_s_mem(void);
void *BIO_new_mem_buf(const void *buf, int len);
int BIO_free(void *bio);
long BIO_ctrl(void *bio, int cmd, long larg, void *parg);

void EVP_PKEY_free(struct evp_pkey_st *key);
int EVP_PKEY_up_ref(struct evp_pkey_st *key);
int EVP_PKEY_get_size(const struct evp_pkey_st *key);
const char *EVP_PKEY_get0_type_name(const struct evp_pkey_st *key);
const void *EVP_PKEY_get0_provider(const struct evp_pkey_st *key);
int EVP_PKEY_get_default_digest_nid(struct evp_pkey_st *key, int *nid);
int EVP_PKEY_get_bn_param(const struct evp_pkey_st *key, const char *name, struct bignum_st **bn);
int EVP_PKEY_get_utf8_string_param(const struct evp_pkey_st *key, const char *name, char *str, size_t max, size_t *len);
int EVP_PKEY_get_octet_string_param(const struct evp_pkey_st *key, const char *name, unsigned char *buf, size_t max,
    size_t *len);
int EVP_PKEY_set_utf8_string_param(struct evp_pkey_st *key, const char *name, const char *str);

struct evp_pkey_st *PEM_read_bio_PrivateKey(void *bio, struct evp_pkey_st **key, void *cb, const char *u);
struct evp_pkey_st *PEM_read_bio_PUBKEY(void *bio, struct evp_pkey_st **key, void *cb, const char *u);
struct evp_pkey_st *d2i_PrivateKey_bio(void *bio, struct evp_pkey_st **key);
struct evp_pkey_st *d2i_PUBKEY_bio(void *bio, struct evp_pkey_st **key);
int PEM_write_bio_PrivateKey(void *bio, const struct evp_pkey_st *key, const void *cipher, const char *pass, int len,
    void *cb, void *u);
int PEM_write_bio_PUBKEY(void *bio, const struct evp_pkey_st *key);
int PEM_write_bio_Parameters(void *bio, const struct evp_pkey_st *key);
struct evp_pkey_st *PEM_read_bio_Parameters(void *bio, struct evp_pkey_st **key);
int i2d_PrivateKey_bio(void *bio, const struct evp_pkey_st *key);
int i2d_PUBKEY_bio(void *bio, const struct evp_pkey_st *key);

struct evp_pkey_ctx_st *EVP_PKEY_CTX_new_from_name(void *ctx, const char *name, const char *properties);
struct evp_pkey_ctx_st *EVP_PKEY_CTX_new(struct evp_pkey_st *key, void *engine);
void EVP_PKEY_CTX_free(struct evp_pkey_ctx_st *ctx);
int EVP_PKEY_keygen_init(struct evp_pkey_ctx_st *ctx);
int EVP_PKEY_paramgen_init(struct evp_pkey_ctx_st *ctx);
int EVP_PKEY_generate(struct evp_pkey_ctx_st *ctx, struct evp_pkey_st **key);
int EVP_PKEY_CTX_set_rsa_keygen_bits(struct evp_pkey_ctx_st *ctx, int bits);
int EVP_PKEY_CTX_set1_rsa_keygen_pubexp(struct evp_pkey_ctx_st *ctx, struct bignum_st *e);
int EVP_PKEY_CTX_set_group_name(struct evp_pkey_ctx_st *ctx, const char *name);
int EVP_PKEY_CTX_set_dh_paramgen_prime_len(struct evp_pkey_ctx_st *ctx, int bits);
int EVP_PKEY_CTX_ctrl_str(struct evp_pkey_ctx_st *ctx, const char *name, const char *value);
int EVP_PKEY_CTX_set_rsa_padding(struct evp_pkey_ctx_st *ctx, int padding);
int EVP_PKEY_CTX_set_rsa_mgf1_md_name(struct evp_pkey_ctx_st *ctx, const char *name, const char *properties);
int EVP_PKEY_CTX_set_rsa_oaep_md_name(struct evp_pkey_ctx_st *ctx, const char *name, const char *properties);
int EVP_PKEY_CTX_set_rsa_pss_saltlen(struct evp_pkey_ctx_st *ctx, int length);
int EVP_PKEY_fromdata_init(struct evp_pkey_ctx_st *ctx);
int EVP_PKEY_fromdata(struct evp_pkey_ctx_st *ctx, struct evp_pkey_st **key, int selection, void *params);

int EVP_PKEY_encrypt_init(struct evp_pkey_ctx_st *ctx);
int EVP_PKEY_encrypt(struct evp_pkey_ctx_st *ctx, unsigned char *out, size_t *len, const char *data, size_t size);
int EVP_PKEY_decrypt_init(struct evp_pkey_ctx_st *ctx);
int EVP_PKEY_decrypt(struct evp_pkey_ctx_st *ctx, unsigned char *out, size_t *len, const char *data, size_t size);
int EVP_PKEY_sign_init(struct evp_pkey_ctx_st *ctx);
int EVP_PKEY_sign(struct evp_pkey_ctx_st *ctx, unsigned char *out, size_t *len, const char *data, size_t size);
int EVP_PKEY_verify_init(struct evp_pkey_ctx_st *ctx);
int EVP_PKEY_verify(struct evp_pkey_ctx_st *ctx, const char *signature, size_t len, const char *data, size_t size);
int EVP_PKEY_verify_recover_init(struct evp_pkey_ctx_st *ctx);
int EVP_PKEY_verify_recover(struct evp_pkey_ctx_st *ctx, unsigned char *out, size_t *len, const char *data,
    size_t size);
int EVP_PKEY_derive_init(struct evp_pkey_ctx_st *ctx);
int EVP_PKEY_derive_set_peer(struct evp_pkey_ctx_st *ctx, struct evp_pkey_st *peer);
int EVP_PKEY_derive(struct evp_pkey_ctx_st *ctx, unsigned char *out, size_t *len);

int EVP_DigestSignInit(struct evp_md_ctx_st *ctx, struct evp_pkey_ctx_st **pctx, const struct evp_md_st *md,
    void *engine, struct evp_pkey_st *key);
int EVP_DigestSign(struct evp_md_ctx_st *ctx, unsigned char *out, size_t *len, const char *data, size_t size);
int EVP_DigestVerifyInit(struct evp_md_ctx_st *ctx, struct evp_pkey_ctx_st **pctx, const struct evp_md_st *md,
    void *engine, struct evp_pkey_st *key);
int EVP_DigestVerify(struct evp_md_ctx_st *ctx, const char *signature, size_t len, const char *data, size_t size);
int EVP_SignFinal(struct evp_md_ctx_st *ctx, unsigned char *out, unsigned int *len, struct evp_pkey_st *key);
int EVP_VerifyFinal(struct evp_md_ctx_st *ctx, const char *signature, unsigned int len, struct evp_pkey_st *key);

void *OSSL_PARAM_BLD_new(void);
void OSSL_PARAM_BLD_free(void *builder);
int OSSL_PARAM_BLD_push_BN(void *builder, const char *name, const struct bignum_st *bn);
int OSSL_PARAM_BLD_push_utf8_string(void *builder, const char *name, const char *text, size_t len);
int OSSL_PARAM_BLD_push_octet_string(void *builder, const char *name, const void *text, size_t len);
int OSSL_PARAM_BLD_push_uint64(void *builder, const char *name, uint64_t number);
int OSSL_PARAM_BLD_push_int(void *builder, const char *name, int number);
void *OSSL_PARAM_BLD_to_param(void *builder);
void OSSL_PARAM_free(void *params);
const struct pygw_ossl_param *OSSL_PARAM_locate_const(const void *params, const char *name);

void *ECDSA_SIG_new(void);
void ECDSA_SIG_free(void *signature);
void *d2i_ECDSA_SIG(void *signature, const unsigned char **in, long len);
int i2d_ECDSA_SIG(const void *signature, unsigned char **out);
void ECDSA_SIG_get0(const void *signature, const struct bignum_st **r, const struct bignum_st **s);
int ECDSA_SIG_set0(void *signature, struct bignum_st *r, struct bignum_st *s);
]], ffi.C)
