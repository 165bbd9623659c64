/* tls_client HOST PORT [NAME]: sends standard input over TLS and prints what comes back until the other side closes.
 * The host does the TLS and verifies the certificate, for NAME or else for HOST; the program sees plain text. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "dial.h"

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: tls_client HOST PORT [NAME] < REQUEST\n");
        return 2;
    }
    int fd = dial(argv[1], argv[2]);
    if (fd < 0)
        return 1;
    if (aeon_tls(fd, argc > 3 ? argv[3] : argv[1]) < 0) {
        fprintf(stderr, "tls_client: TLS with %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    char data[4096];
    size_t n;
    while ((n = fread(data, 1, sizeof data, stdin)) > 0) {
        if (send_all(fd, data, n) < 0) {
            fprintf(stderr, "tls_client: sending: %s\n", strerror(errno));
            return 1;
        }
    }
    if (print_all(fd) < 0) {
        fprintf(stderr, "tls_client: receiving: %s\n", strerror(errno));
        return 1;
    }
    close(fd);
    return 0;
}
