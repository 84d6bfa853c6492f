-- Owns the FFI declarations of libcrypto for certificates; see resty.openssl.library, whose rules hold here too.
local ffi = require "ffi"
local foreign = require "server.foreign"
require "resty.openssl.pkey.library"

return foreign.declare("pygw_crypto_", [[
struct x509_st *X509_new(void);
void X509_free(struct x509_st *x);
struct x509_st *X509_dup(const struct x509_st *x);
struct x509_st *PEM_read_bio_X509(void *bio, struct x509_st **x, void *cb, void *u);
struct x509_st *d2i_X509_bio(void *bio, struct x509_st **x);
int PEM_write_bio_X509(void *bio, const struct x509_st *x);
int i2d_X509_bio(void *bio, const struct x509_st *x);
struct evp_pkey_st *X509_get_pubkey(struct x509_st *x);
int X509_set_pubkey(struct x509_st *x, struct evp_pkey_st *key);
int X509_check_private_key(const struct x509_st *x, const struct evp_pkey_st *key);
int X509_sign(struct x509_st *x, struct evp_pkey_st *key, const struct evp_md_st *md);
int X509_verify(struct x509_st *x, struct evp_pkey_st *key);
int X509_digest(const struct x509_st *x, const struct evp_md_st *md, unsigned char *out, unsigned int *len);
int X509_pubkey_digest(const struct x509_st *x, const struct evp_md_st *md, unsigned char *out, unsigned int *len);
long X509_get_version(const struct x509_st *x);
int X509_set_version(struct x509_st *x, long version);
int X509_get_signature_nid(const struct x509_st *x);
const void *X509_get0_serialNumber(const struct x509_st *x);
int X509_set_serialNumber(struct x509_st *x, void *serial);
const void *X509_get0_notBefore(const struct x509_st *x);
const void *X509_get0_notAfter(const struct x509_st *x);
int X509_set1_notBefore(struct x509_st *x, const void *time);
int X509_set1_notAfter(struct x509_st *x, const void *time);
struct X509_name_st *X509_get_subject_name(const struct x509_st *x);
struct X509_name_st *X509_get_issuer_name(const struct x509_st *x);
int X509_set_subject_name(struct x509_st *x, const struct X509_name_st *name);
int X509_set_issuer_name(struct x509_st *x, const struct X509_name_st *name);
int X509_get_ext_by_NID(const struct x509_st *x, int nid, int after);
struct X509_extension_st *X509_get_ext(const struct x509_st *x, int at);
int X509_add_ext(struct x509_st *x, const struct X509_extension_st *extension, int at);
struct X509_extension_st *X509_delete_ext(struct x509_st *x, int at);
void *X509_get_ext_d2i(const struct x509_st *x, int nid, int *critical, int *index);
void *X509_get1_ocsp(struct x509_st *x);
void X509_email_free(void *stack);

struct bignum_st *ASN1_INTEGER_to_BN(const void *number, struct bignum_st *bn);
void *BN_to_ASN1_INTEGER(const struct bignum_st *bn, void *number);
void ASN1_INTEGER_free(void *number);
int64_t ASN1_INTEGER_get(const void *number);
void *ASN1_TIME_set(void *time, long seconds);
void ASN1_STRING_free(void *string);
int ASN1_TIME_diff(int *days, int *seconds, const void *from, const void *to);
int ASN1_STRING_length(const void *string);
const char *ASN1_STRING_get0_data(const void *string);
void *ASN1_STRING_new(void);
int ASN1_STRING_set(void *string, const char *data, int len);
int ASN1_STRING_print(void *bio, const void *string);

struct X509_name_st *X509_NAME_new(void);
void X509_NAME_free(struct X509_name_st *name);
struct X509_name_st *X509_NAME_dup(const struct X509_name_st *name);
int X509_NAME_entry_count(const struct X509_name_st *name);
const void *X509_NAME_get_entry(const struct X509_name_st *name, int at);
struct asn1_object_st *X509_NAME_ENTRY_get_object(const void *entry);
const void *X509_NAME_ENTRY_get_data(const void *entry);
int X509_NAME_add_entry_by_OBJ(struct X509_name_st *name, const struct asn1_object_st *object, int type,
    const char *text, int len, int at, int set);
int X509_NAME_get_index_by_OBJ(const struct X509_name_st *name, const struct asn1_object_st *object, int after);

struct X509_extension_st *X509V3_EXT_nconf_nid(void *conf, void *context, int nid, const char *value);
void X509V3_set_ctx(void *context, struct x509_st *issuer, struct x509_st *subject, void *request, void *crl,
    int flags);
void X509V3_set_nconf(void *context, void *conf);
void *NCONF_new(void *method);
void NCONF_free(void *conf);
int NCONF_load_bio(void *conf, void *bio, long *line);
void X509_EXTENSION_free(struct X509_extension_st *extension);
struct X509_extension_st *X509_EXTENSION_dup(const struct X509_extension_st *extension);
struct X509_extension_st *X509_EXTENSION_create_by_NID(struct X509_extension_st **extension, int nid, int critical,
    void *data);
struct asn1_object_st *X509_EXTENSION_get_object(struct X509_extension_st *extension);
void *X509_EXTENSION_get_data(struct X509_extension_st *extension);
int X509_EXTENSION_get_critical(const struct X509_extension_st *extension);
int X509_EXTENSION_set_critical(struct X509_extension_st *extension, int critical);
int X509V3_EXT_print(void *bio, struct X509_extension_st *extension, unsigned long flags, int indent);

void *OPENSSL_sk_new_null(void);
int OPENSSL_sk_num(const void *stack);
void *OPENSSL_sk_value(const void *stack, int at);
int OPENSSL_sk_push(void *stack, const void *data);
void OPENSSL_sk_free(void *stack);
void OPENSSL_sk_pop_free(void *stack, void *free_function);
void GENERAL_NAMES_free(void *names);
void *GENERAL_NAME_get0_value(const void *name, int *type);
void BASIC_CONSTRAINTS_free(void *constraints);

struct x509_store_st *X509_STORE_new(void);
void X509_STORE_free(struct x509_store_st *store);
int X509_STORE_set_default_paths(struct x509_store_st *store);
int X509_STORE_add_cert(struct x509_store_st *store, struct x509_st *x);
int X509_STORE_load_locations(struct x509_store_st *store, const char *file, const char *directory);
int X509_STORE_set_depth(struct x509_store_st *store, int depth);
int X509_STORE_set_flags(struct x509_store_st *store, unsigned long flags);
int X509_STORE_set_purpose(struct x509_store_st *store, int purpose);
int X509_PURPOSE_get_by_sname(const char *name);
void *X509_PURPOSE_get0(int at);
int X509_PURPOSE_get_id(const void *purpose);
void *X509_STORE_CTX_new(void);
void X509_STORE_CTX_free(void *ctx);
int X509_STORE_CTX_init(void *ctx, struct x509_store_st *store, struct x509_st *x, void *chain);
int X509_STORE_CTX_set_default(void *ctx, const char *name);
void X509_STORE_CTX_set_flags(void *ctx, unsigned long flags);
int X509_verify_cert(void *ctx);
int X509_STORE_CTX_get_error(const void *ctx);
void *X509_STORE_CTX_get1_chain(const void *ctx);
const char *X509_verify_cert_error_string(long code);
]], ffi.C)
