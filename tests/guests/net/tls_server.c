/* tls_server NAME COUNT [ADDRESS PORT]: answers so many requests over TLS, which aeon does for it under NAME, with the
 * request in capital letters; on descriptor 3, or bound to ADDRESS and PORT. A client whose handshake fails counts. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <aeon_socket.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int listen_on(const char *address, const char *port) {
    struct sockaddr_in on = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (inet_pton(AF_INET, address, &on.sin_addr) != 1 || bind(fd, (struct sockaddr *)&on, sizeof on) < 0 ||
        listen(fd, 16) < 0)
        return -1;
    return fd;
}

static void answer(int fd) {
    char data[4096];
    size_t n = 0;
    while (n < sizeof data - 1) {
        ssize_t got = recv(fd, data + n, sizeof data - 1 - n, 0);
        if (got < 0)
            printf("refused: %s\n", strerror(errno));
        if (got <= 0)
            return;
        n += (size_t)got;
        data[n] = 0;
        if (strstr(data, "\r\n\r\n"))
            break;
    }
    printf("%.*s\n", (int)strcspn(data, "\r"), data);
    for (size_t i = 0; i < n; i++)
        data[i] = (char)toupper((unsigned char)data[i]);
    char head[128];
    int size = snprintf(head, sizeof head, "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
    send(fd, head, (size_t)size, MSG_NOSIGNAL);
    send(fd, data, n, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
}

int main(int argc, char **argv) {
    if (argc != 3 && argc != 5)
        return 2;
    int listener = argc == 5 ? listen_on(argv[3], argv[4]) : 3;
    if (listener < 0 || aeon_tls(listener, argv[1]) < 0) {
        fprintf(stderr, "tls_server: %s\n", strerror(errno));
        return 1;
    }
    for (int i = 0; i < atoi(argv[2]); i++) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            fprintf(stderr, "tls_server: accept: %s\n", strerror(errno));
            return 1;
        }
        answer(fd);
        close(fd);
        fflush(stdout);
    }
    return 0;
}
