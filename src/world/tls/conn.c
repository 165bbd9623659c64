/* conn.c: one connection: connecting, the handshake, and why it failed. */
#include "world/tls/internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>

/* Whom the other side has to be. An address has no SNI. */
static void expect(struct tls_conn *c) {
    struct addr ip;
    X509_VERIFY_PARAM *param = SSL_get0_param(c->ssl);
    if (addr_parse_ip(c->host, &ip)) {
        must(X509_VERIFY_PARAM_set1_ip(param, ip.ip, ip.family == ADDR_INET ? 4 : 16));
        return;
    }
    /* What a certificate is for stands in its alternative names; the subject's common name is free text. */
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    must(SSL_set1_host(c->ssl, c->host));
    must(SSL_set_tlsext_host_name(c->ssl, c->host));
}

struct tls_conn *tls_conn_new(struct tls *t, int fd, SSL_CTX *ctx, const char *host, bool server, enum tls_state s) {
    struct tls_conn *c = mem_zalloc(sizeof *c);
    c->handle = (struct tls_handle){TLS_CONN, 1};
    c->tls = t;
    c->fd = fd;
    c->server = server;
    c->state = s;
    c->host = mem_strdup(host);
    size_t n = strlen(c->host);
    if (n > 1 && c->host[n - 1] == '.')
        c->host[n - 1] = '\0';
    c->ssl = SSL_new(ctx);
    must(c->ssl);
    SSL_set_app_data(c->ssl, c);
    BIO *bio = tls_bio_new(c);
    SSL_set_bio(c->ssl, bio, bio);
    if (server) {
        SSL_set_accept_state(c->ssl);
    } else {
        SSL_set_connect_state(c->ssl);
        expect(c);
    }
    t->nconns++;
    return c;
}

void tls_conn_free(struct tls_conn *c) {
    tls_drop_unsent(c);
    SSL_free(c->ssl);
    c->tls->nconns--;
    mem_free(c->host);
    mem_free(c);
}

/* ---- failure ---- */

void tls_say(struct tls *t, const char *fmt, ...) {
    if (!t->o.failed)
        return;
    char text[TLS_SENTENCE];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    t->o.failed(t->o.ctx, text);
}

static void say_certificate(struct tls_conn *c) {
    const char *words = X509_verify_cert_error_string(c->verify_error);
    switch (c->verify_error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        tls_say(c->tls, "TLS with %s: the certificate is for %s, not for %s", c->host,
                c->subject[0] ? c->subject : "somebody else", c->host);
        return;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: words = "the certificate is self-signed"; break;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        words = "the certificate is from an authority that is not trusted here";
        break;
    default: tls_say(c->tls, "TLS with %s: %s", c->host, words); return;
    }
    tls_say(c->tls, "TLS with %s: %s; --ca FILE trusts one more", c->host, words);
}

static void say_failure(struct tls_conn *c, bool during_handshake) {
    const char *when = during_handshake ? "during the handshake" : "after the handshake";
    const char *with = c->server ? "as server for" : "with";
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_REASON(code);
    if (c->verify_error)
        say_certificate(c);
    else if (c->read_error)
        tls_say(c->tls, "TLS %s %s: %s: %s", with, c->host, when, strerror(-c->read_error));
    else if (c->eof)
        tls_say(c->tls, "TLS %s %s: the other side ended the connection %s", with, c->host, when);
    else if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET)
        tls_say(c->tls, "TLS %s %s: the other side refused: %s", with, c->host,
                SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
    else if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST)
        tls_say(c->tls, "TLS %s %s: what the other side speaks is not TLS", with, c->host);
    else if (reason == SSL_R_UNSUPPORTED_PROTOCOL)
        tls_say(c->tls, "TLS %s %s: the other side knows no protocol from TLS 1.2 on", with, c->host);
    else
        tls_say(c->tls, "TLS %s %s: %s: %s", with, c->host, when,
                code ? ERR_reason_error_string(code) : "it failed without a reason");
}

static void end(struct tls_conn *c, int error) {
    c->state = TLS_FAILED;
    c->blocked = false;
    c->error = error;
    c->failure = -error;
    tls_drop_unsent(c);
    SSL_free(c->ssl);
    c->ssl = NULL;
}

void tls_fail(struct tls_conn *c) {
    bool during_handshake = c->state == TLS_HANDSHAKE;
    say_failure(c, during_handshake);
    ERR_clear_error();
    /* Some systems accept a connect at once and tell with the first transfer that it failed. */
    bool unconnected = during_handshake && (c->read_error == -ECONNREFUSED || c->read_error == -ETIMEDOUT ||
                                            c->read_error == -EHOSTUNREACH || c->read_error == -ENETUNREACH);
    int error = unconnected ? -c->read_error : ECONNABORTED;
    end(c, error);
    UNDER(c->tls, shutdown, c->fd, WORLD_SHUT_RD | WORLD_SHUT_WR);
}

void tls_refuse(struct tls_conn *c, int error) {
    end(c, error);
}

/* ---- going on ---- */

/* Is below connected by now? */
static void look_connected(struct tls_conn *c) {
    struct addr peer;
    int64_t error = 0;
    int r = UNDER(c->tls, get_option, c->fd, WORLD_SO_ERROR, &error);
    if (r < 0)
        error = -r;
    if (error)
        tls_refuse(c, (int)error);
    else if (UNDER(c->tls, peer_addr, c->fd, &peer) == 0)
        c->state = TLS_HANDSHAKE;
}

void tls_progress(struct tls_conn *c) {
    tls_flush(c);
    if (c->state == TLS_CONNECTING)
        look_connected(c);
    if (c->state != TLS_HANDSHAKE)
        return;
    uint64_t now = 0;
    UNDER(c->tls, clock, WORLD_REALTIME, &now); /* whether certificates are valid now, the world decides */
    X509_VERIFY_PARAM_set_time(SSL_get0_param(c->ssl), (time_t)(now / 1000000000u));
    ERR_clear_error();
    int r = SSL_do_handshake(c->ssl);
    if (r == 1) {
        c->state = TLS_OPEN;
        c->blocked = false;
        if (c->wr_shut)
            tls_notify(c);
        return;
    }
    int why = SSL_get_error(c->ssl, r);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        c->blocked = true;
    else
        tls_fail(c);
}
