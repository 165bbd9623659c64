/* dial.h: what the examples share: a connection to a name, tried address by address. */
#ifndef EXAMPLES_DIAL_H
#define EXAMPLES_DIAL_H

#include <aeon_socket.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A connected stream socket, or -1 after saying why not. */
static inline int dial(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error) {
        fprintf(stderr, "%s:%s: %s\n", host, port, gai_strerror(error));
        return -1;
    }
    int fd = -1;
    for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM, 0);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
            error = errno;
            close(fd);
            errno = error;
            fd = -1;
        }
    }
    if (fd < 0)
        fprintf(stderr, "%s:%s: %s\n", host, port, strerror(errno));
    freeaddrinfo(found);
    return fd;
}

/* All of it. 0 or -1. */
static inline int send_all(int fd, const char *data, size_t n) {
    while (n) {
        ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        if (sent < 0)
            return -1;
        data += sent;
        n -= (size_t)sent;
    }
    return 0;
}

/* What comes until the other side closes goes to standard output. 0 or -1. */
static inline int print_all(int fd) {
    char data[16384];
    ssize_t n;
    while ((n = recv(fd, data, sizeof data, 0)) > 0)
        if (fwrite(data, 1, (size_t)n, stdout) != (size_t)n)
            return -1;
    return n < 0 || fflush(stdout) != 0 ? -1 : 0;
}

#endif
