-- Owns the FFI declarations of OpenSSL (libssl and libcrypto) that TLS needs. The libraries are loaded
-- globally, so that OpenResty libraries which reach for ffi.C.SSL_… find them; the names are aliased, so
-- that a library that declares the same functions with its own types is not disturbed. Loaded on the
-- first use of TLS only. Must hold no logic: who calls what, and when, is the others' matter.
local ffi = require "ffi"
local foreign = require "server.foreign"
require "ngx.api.libcrypto" -- which loads libcrypto

local NAMES = { "libssl.so.3", "ssl" }

-- name(arguments) without the alias; every pointer to an opaque object is a void *.
local FUNCTIONS = [[
unsigned long ERR_get_error(void);
unsigned long ERR_peek_error(void);
unsigned long ERR_peek_last_error(void);
void ERR_error_string_n(unsigned long e, char *buf, size_t len);
const char *ERR_reason_error_string(unsigned long e);
void ERR_clear_error(void);

const void *TLS_client_method(void);
const void *TLS_server_method(void);
void *SSL_CTX_new(const void *method);
void SSL_CTX_free(void *ctx);
int SSL_CTX_up_ref(void *ctx);
long SSL_CTX_ctrl(void *ctx, int cmd, long larg, void *parg);
uint64_t SSL_CTX_set_options(void *ctx, uint64_t options);
uint64_t SSL_CTX_get_options(const void *ctx);
int SSL_CTX_set_cipher_list(void *ctx, const char *list);
int SSL_CTX_set_ciphersuites(void *ctx, const char *list);
int SSL_CTX_load_verify_locations(void *ctx, const char *file, const char *path);
int SSL_CTX_use_certificate(void *ctx, void *x);
int SSL_CTX_use_PrivateKey(void *ctx, void *key);
int SSL_CTX_check_private_key(const void *ctx);
void *SSL_CTX_get_cert_store(const void *ctx);
void SSL_CTX_set_verify_depth(void *ctx, int depth);
void SSL_CTX_set_verify(void *ctx, int mode, void *callback);
void SSL_CTX_set_client_CA_list(void *ctx, void *names);
int SSL_CTX_set_session_id_context(void *ctx, const char *id, unsigned int len);
long SSL_CTX_set_timeout(void *ctx, long seconds);
void SSL_CTX_set_client_hello_cb(void *ctx, void *cb, void *arg);
void SSL_CTX_set_cert_cb(void *ctx, void *cb, void *arg);
long SSL_CTX_callback_ctrl(void *ctx, int cmd, void (*cb)(void));
void SSL_CTX_sess_set_get_cb(void *ctx, void *cb);
void SSL_CTX_sess_set_new_cb(void *ctx, void *cb);
void SSL_CTX_set_alpn_select_cb(void *ctx, void *cb, void *arg);
void SSL_CTX_set_keylog_callback(void *ctx, void *cb);
int SSL_CTX_get_verify_mode(const void *ctx);
int SSL_CTX_get_verify_depth(const void *ctx);
void *SSL_CONF_CTX_new(void);
void SSL_CONF_CTX_free(void *cctx);
void SSL_CONF_CTX_set_ssl_ctx(void *cctx, void *ctx);
unsigned int SSL_CONF_CTX_set_flags(void *cctx, unsigned int flags);
int SSL_CONF_cmd(void *cctx, const char *cmd, const char *value);
int SSL_CONF_CTX_finish(void *cctx);

void *SSL_new(void *ctx);
void SSL_free(void *ssl);
int SSL_set_fd(void *ssl, int fd);
void SSL_set_connect_state(void *ssl);
void SSL_set_accept_state(void *ssl);
long SSL_ctrl(void *ssl, int cmd, long larg, void *parg);
int SSL_do_handshake(void *ssl);
int SSL_read(void *ssl, void *buf, int num);
int SSL_peek(void *ssl, void *buf, int num);
int SSL_write(void *ssl, const void *buf, int num);
int SSL_shutdown(void *ssl);
int SSL_get_error(const void *ssl, int ret);
int SSL_pending(const void *ssl);
int SSL_session_reused(const void *ssl);
int SSL_set_session(void *ssl, void *session);
void *SSL_get1_session(void *ssl);
void *SSL_get_session(const void *ssl);
void SSL_SESSION_free(void *session);
int SSL_SESSION_is_resumable(const void *session);
long SSL_get_verify_result(const void *ssl);
void SSL_set_verify(void *ssl, int mode, void *callback);
void SSL_set_verify_result(void *ssl, long result);
void SSL_set_verify_depth(void *ssl, int depth);
const char *SSL_get_version(const void *ssl);
const void *SSL_get_current_cipher(const void *ssl);
const char *SSL_CIPHER_get_name(const void *cipher);
int SSL_use_certificate(void *ssl, void *x);
int SSL_use_PrivateKey(void *ssl, void *key);
int SSL_check_private_key(const void *ssl);
void SSL_set_cert_cb(void *ssl, void *cb, void *arg);
void SSL_certs_clear(void *ssl);
size_t SSL_get_client_random(const void *ssl, unsigned char *out, size_t size);
size_t SSL_get_server_random(const void *ssl, unsigned char *out, size_t size);
size_t SSL_SESSION_get_master_key(const void *session, unsigned char *out, size_t size);
int SSL_export_keying_material(void *ssl, unsigned char *out, size_t size, const char *label, size_t llen,
    const char *context, size_t clen, int use_context);
int SSL_export_keying_material_early(void *ssl, unsigned char *out, size_t size, const char *label, size_t llen,
    const char *context, size_t clen);
void *SSL_get_client_ciphers(const void *ssl);
void *SSL_get1_supported_ciphers(void *ssl);
uint16_t SSL_CIPHER_get_protocol_id(const void *cipher);
void SSL_set_client_CA_list(void *ssl, void *names);
int SSL_client_hello_get1_extensions_present(void *ssl, int **out, size_t *outlen);
size_t SSL_client_hello_get0_ciphers(void *ssl, const unsigned char **out);
int i2d_SSL_SESSION(const void *session, unsigned char **out);
void *d2i_SSL_SESSION(void *session, const unsigned char **in, long len);
const char *SSL_SESSION_get0_hostname(const void *session);
const unsigned char *SSL_SESSION_get_id(const void *session, unsigned int *len);
const char *SSL_get_servername(const void *ssl, int type);
int SSL_version(const void *ssl);
void *SSL_get_SSL_CTX(const void *ssl);
void *SSL_set_SSL_CTX(void *ssl, void *ctx);
uint64_t SSL_set_options(void *ssl, uint64_t options);
uint64_t SSL_clear_options(void *ssl, uint64_t options);
int SSL_client_hello_get0_ext(void *ssl, unsigned int type, const unsigned char **out, size_t *outlen);
size_t SSL_client_hello_get0_session_id(void *ssl, const unsigned char **out);
void *SSL_load_client_CA_file(const char *file);

void *SSL_get1_peer_certificate(const void *ssl);

int RAND_bytes(unsigned char *out, int count);
int SSL_get_early_data_status(const void *ssl);
void SSL_get0_alpn_selected(const void *ssl, const unsigned char **data, unsigned int *len);
const void *SSL_CIPHER_find(void *ssl, const unsigned char *bytes);
const char *OBJ_nid2sn(int nid);

const void *BIO_s_mem(void);
void *BIO_new(const void *type);
int PEM_write_bio_X509(void *bio, void *x);
int X509_NAME_print_ex(void *bio, const void *name, int indent, unsigned long flags);
char *X509_NAME_oneline(const void *name, char *buf, int size);
void *X509_get_issuer_name(const void *x);
void *X509_get_serialNumber(void *x);
int i2a_ASN1_INTEGER(void *bio, const void *number);
int X509_digest(const void *x, const void *type, unsigned char *md, unsigned int *len);
const void *EVP_sha1(void);
const void *X509_get0_notBefore(const void *x);
const void *X509_get0_notAfter(const void *x);
void *ASN1_TIME_set(void *time, long seconds);
void ASN1_STRING_free(void *string);
int X509_check_issued(void *issuer, void *subject);
void *X509_get1_ocsp(void *x);
void X509_email_free(void *urls);
void *OCSP_REQUEST_new(void);
void OCSP_REQUEST_free(void *request);
int i2d_OCSP_REQUEST(const void *request, unsigned char **out);
void *OCSP_cert_to_id(const void *digest, const void *subject, const void *issuer);
void OCSP_CERTID_free(void *id);
void *OCSP_request_add0_id(void *request, void *id);
void *d2i_OCSP_RESPONSE(void *response, const unsigned char **in, long len);
void OCSP_RESPONSE_free(void *response);
int OCSP_response_status(void *response);
const char *OCSP_response_status_str(long status);
void *OCSP_response_get1_basic(void *response);
void OCSP_BASICRESP_free(void *basic);
int OCSP_basic_verify(void *basic, void *certificates, void *store, unsigned long flags);
int OCSP_resp_find_status(void *basic, void *id, int *status, int *reason, void **revoked, void **this, void **next);
const char *OCSP_cert_status_str(long status);
int OCSP_check_validity(void *this, void *next, long skew, long age);
int ASN1_TIME_print(void *bio, const void *time);
int ASN1_TIME_diff(int *days, int *seconds, const void *from, const void *to);
void *BIO_new_mem_buf(const void *buf, int len);
int BIO_free(void *bio);
void *PEM_read_bio_X509(void *bio, void *x, void *cb, void *u);
void *PEM_read_bio_X509_AUX(void *bio, void *x, void *cb, void *u);
void *PEM_read_bio_PrivateKey(void *bio, void *key, void *cb, void *u);
long BIO_ctrl(void *bio, int cmd, long larg, void *parg);
void *d2i_X509_bio(void *bio, void *x);
void *d2i_PrivateKey_bio(void *bio, void *key);
int i2d_X509(const void *x, unsigned char **out);
int i2d_PrivateKey(const void *key, unsigned char **out);
void X509_free(void *x);
int X509_up_ref(void *x);
int X509_check_host(void *x, const char *name, size_t len, unsigned int flags, char **peer);
int X509_check_ip_asc(void *x, const char *ip, unsigned int flags);
const char *X509_verify_cert_error_string(long n);
void EVP_PKEY_free(void *key);
void *X509_STORE_add_lookup(void *store, const void *method);
const void *X509_LOOKUP_file(void);
int X509_load_crl_file(void *lookup, const char *file, int type);
int X509_STORE_set_flags(void *store, unsigned long flags);
void *X509_STORE_new(void);
void X509_STORE_free(void *store);
int X509_STORE_add_cert(void *store, void *x);
void *X509_get_subject_name(const void *x);
void *X509_NAME_dup(const void *name);
void X509_NAME_free(void *name);
void CRYPTO_free(void *memory, const char *file, int line);
void *CRYPTO_malloc(size_t size, const char *file, int line);
void OPENSSL_sk_free(void *stack);
int OPENSSL_sk_num(const void *stack);
void *OPENSSL_sk_value(const void *stack, int i);
void *OPENSSL_sk_new_null(void);
int OPENSSL_sk_push(void *stack, const void *data);
void OPENSSL_sk_pop_free(void *stack, void *free_function);
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
    error("TLS needs libssl of OpenSSL 3 (Debian package libssl3): " .. reason, 0)
end

return foreign.declare("pygw_", FUNCTIONS, load())
