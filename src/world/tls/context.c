/* context.c: certificates, keys and authorities, from files that below reads. */
#include "world/tls/internal.h"

#include "base/buf.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>

enum { FILE_MAX = 16 << 20 };

/* Where systems keep the authorities they trust, all in one file. */
static const char *const system_files[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
    "/etc/ssl/ca-bundle.pem",             /* SUSE */
    "/etc/ssl/cert.pem",                  /* BSD, Alpine */
};

bool tls_same_host(const char *a, const char *b) {
    size_t na = strlen(a), nb = strlen(b);
    na -= na > 0 && a[na - 1] == '.';
    nb -= nb > 0 && b[nb - 1] == '.';
    return na == nb && strncasecmp(a, b, na) == 0;
}

/* The whole file as a BIO. */
static enum status read_file(struct tls *t, const char *path, BIO **out, struct err *e) {
    enum status s = ST_OK;
    struct buf b;
    buf_init(&b, FILE_MAX);
    int64_t n = 0;
    int fd = UNDER(t, open, WORLD_CWD, path, WORLD_READ, 0);
    if (fd < 0) {
        s = err_set(e, fd == -ENOENT ? ST_NOT_FOUND : ST_INVALID, "%s: cannot be read: %s", path, strerror(-fd));
        goto done;
    }
    do {
        if (!buf_reserve(&b, 16384)) {
            s = err_set(e, ST_INVALID, "%s: is larger than %d MiB; is it the right file?", path, FILE_MAX >> 20);
            goto done;
        }
        struct iovec v = {b.data + b.size, 16384};
        n = UNDER(t, readv, fd, &v, 1);
        b.size += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    if (n < 0) {
        s = err_set(e, ST_INVALID, "%s: cannot be read: %s", path, strerror((int)-n));
        goto done;
    }
    BIO *bio = BIO_new(BIO_s_mem());
    must(bio && (b.size == 0 || BIO_write(bio, b.data, (int)b.size) == (int)b.size));
    *out = bio;
done:
    if (fd >= 0)
        UNDER(t, close, fd);
    if (b.data)
        OPENSSL_cleanse(b.data, b.size); /* there may have been a key in it */
    buf_deinit(&b);
    return s;
}

static SSL_CTX *new_context(const SSL_METHOD *method) {
    SSL_CTX *ctx = SSL_CTX_new(method);
    must(ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION));
    /* No tickets: a client that sends, closes and never reads them would be answered with a reset. */
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(ctx, 1);
    return ctx;
}

/* Adds all certificates of a file to those that are trusted; returns their number. */
static int trust(SSL_CTX *ctx, BIO *pem) {
    int n = 0;
    for (X509 *x; (x = PEM_read_bio_X509_AUX(pem, NULL, NULL, NULL)); n++) {
        must(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x));
        X509_free(x);
    }
    ERR_clear_error(); /* the end of the file is one */
    return n;
}

/* A certificate that is not trusted: for whom it is, for the sentence. */
static int note_failure(int ok, X509_STORE_CTX *store) {
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_conn *c = SSL_get_app_data(ssl);
    if (ok || c->verify_error)
        return ok;
    c->verify_error = X509_STORE_CTX_get_error(store);
    X509 *x = X509_STORE_CTX_get_current_cert(store);
    GENERAL_NAMES *names = x ? X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL) : NULL;
    size_t at = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && at < sizeof c->subject / 2; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        if (g->type != GEN_DNS)
            continue;
        int n = ASN1_STRING_length(g->d.dNSName);
        if (n < 0 || (size_t)n + 3 > sizeof c->subject - at)
            break;
        if (at > 0)
            at += (size_t)snprintf(c->subject + at, sizeof c->subject - at, ", ");
        for (int k = 0; k < n; k++) { /* strangers wrote it */
            unsigned char ch = ASN1_STRING_get0_data(g->d.dNSName)[k];
            c->subject[at++] = ch > ' ' && ch < 0x7f ? (char)ch : '?';
        }
        c->subject[at] = '\0';
    }
    GENERAL_NAMES_free(names);
    return 0;
}

static SSL_CTX *client_context(struct tls *t) {
    if (!t->client) {
        t->client = new_context(TLS_client_method());
        SSL_CTX_set_verify(t->client, SSL_VERIFY_PEER, note_failure);
        /* What a file says is trusted is, also an authority whose own issuer is not in it. */
        X509_STORE_set_flags(SSL_CTX_get_cert_store(t->client), X509_V_FLAG_PARTIAL_CHAIN);
    }
    return t->client;
}

enum status tls_read_authorities(struct tls *t, const char *const *files, uint32_t n, struct err *e) {
    for (uint32_t i = 0; i < n; i++) {
        BIO *pem;
        enum status s = read_file(t, files[i], &pem, e);
        if (s != ST_OK)
            return s;
        int found = trust(client_context(t), pem);
        BIO_free(pem);
        if (found == 0)
            return err_set(e, ST_INVALID, "%s: no certificate in it; authorities are given in PEM form", files[i]);
    }
    return ST_OK;
}

SSL_CTX *tls_client_context(struct tls *t) {
    SSL_CTX *ctx = client_context(t);
    if (!t->o.system_cas || t->system_read)
        return ctx;
    t->system_read = true;
    for (size_t i = 0; i < sizeof system_files / sizeof *system_files; i++) {
        BIO *pem;
        if (read_file(t, system_files[i], &pem, NULL) != ST_OK)
            continue;
        int found = trust(ctx, pem);
        BIO_free(pem);
        if (found > 0)
            break;
    }
    return ctx;
}

static int no_password(char *out, int cap, int writing, void *arg) {
    (void)out, (void)cap, (void)writing, (void)arg;
    return -1;
}

enum status tls_read_identity(struct tls *t, const struct tls_server *s, struct tls_identity *out, struct err *e) {
    BIO *cert = NULL, *key = NULL;
    EVP_PKEY *pkey = NULL;
    SSL_CTX *ctx = new_context(TLS_server_method());
    enum status st = read_file(t, s->cert, &cert, e);
    if (st == ST_OK)
        st = read_file(t, s->key, &key, e);
    if (st != ST_OK)
        goto done;
    X509 *x = PEM_read_bio_X509_AUX(cert, NULL, NULL, NULL);
    if (!x) {
        st = err_set(e, ST_INVALID, "%s: no certificate in PEM form in it", s->cert);
        goto done;
    }
    bool usable = SSL_CTX_use_certificate(ctx, x) == 1;
    X509_free(x);
    if (!usable) {
        st = err_set(e, ST_INVALID, "%s: cannot be used: %s", s->cert, ERR_reason_error_string(ERR_get_error()));
        goto done;
    }
    while ((x = PEM_read_bio_X509(cert, NULL, NULL, NULL)))
        must(SSL_CTX_add0_chain_cert(ctx, x));
    ERR_clear_error();
    pkey = PEM_read_bio_PrivateKey(key, NULL, no_password, NULL);
    if (!pkey)
        st = err_set(e, ST_INVALID, "%s: no private key in PEM form in it that can be read without a password", s->key);
    else if (SSL_CTX_use_PrivateKey(ctx, pkey) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        st = err_set(e, ST_INVALID, "%s: is not the key of the certificate %s", s->key, s->cert);
done:
    ERR_clear_error();
    EVP_PKEY_free(pkey);
    BIO_free(cert);
    BIO_free(key);
    if (st == ST_OK)
        *out = (struct tls_identity){mem_strdup(s->name), ctx};
    else
        SSL_CTX_free(ctx);
    return st;
}
