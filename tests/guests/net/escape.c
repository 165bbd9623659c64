/* escape ATTEMPT...: tries to talk to somebody outside, and says for each attempt how it ended. An attempt is one
 * argument:
 *
 *     tcp HOST PORT, udp HOST PORT    to connect or send to what HOST resolves to, which may be an address
 *     wait HOST PORT                  tcp without blocking: connect, poll, SO_ERROR
 *     unix PATH                       a unix socket
 *     file PATH                       to open a path for reading and writing, such as those beneath /net
 *
 * Whoever is reached is sent "escaped"; a datagram counts as one when it is sent. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <aeon_socket.h>

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char word[] = "escaped";

static int finish_connect(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int error;
    socklen_t size = sizeof error;
    if (errno != EINPROGRESS)
        return -1;
    if (poll(&p, 1, -1) < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -1;
    errno = error;
    return error ? -1 : 0;
}

/* 0: somebody was reached; else an errno. */
static int reach(int family, int type, const struct sockaddr *to, socklen_t size, bool wait) {
    int fd = socket(family, type, 0), result = 0;
    if (fd < 0)
        return errno;
    if (wait && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        result = errno;
    else if (type == SOCK_DGRAM && sendto(fd, word, sizeof word, 0, to, size) < 0)
        result = errno;
    else if (type == SOCK_STREAM && connect(fd, to, size) < 0 && (!wait || finish_connect(fd) < 0))
        result = errno;
    else if (type == SOCK_STREAM)
        send(fd, word, sizeof word, MSG_NOSIGNAL);
    close(fd);
    return result;
}

static const char *try_network(const char *how, const char *host, const char *port) {
    int type = strcmp(how, "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;
    struct addrinfo hints = {.ai_socktype = type}, *found;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error)
        return gai_strerror(error);
    const char *text = "no address";
    for (struct addrinfo *a = found; a; a = a->ai_next) {
        error = reach(a->ai_family, type, a->ai_addr, a->ai_addrlen, strcmp(how, "wait") == 0);
        text = error ? strerror(error) : "REACHED";
        if (!error)
            break;
    }
    freeaddrinfo(found);
    return text;
}

static const char *try_unix(const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path)
        return "the path is too long";
    strcpy(to.sun_path, path);
    int error = reach(AF_UNIX, SOCK_STREAM, (struct sockaddr *)&to, sizeof to, false);
    return error ? strerror(error) : "REACHED";
}

static const char *try_file(const char *path) {
    int fd = open(path, O_RDWR);
    if (fd < 0)
        return strerror(errno);
    ssize_t n = write(fd, word, sizeof word);
    int error = errno;
    close(fd);
    return n < 0 ? strerror(error) : "REACHED";
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        char how[8], what[256], port[16];
        int n = sscanf(argv[i], "%7s %255s %15s", how, what, port);
        const char *result = n == 3                               ? try_network(how, what, port)
                             : n == 2 && strcmp(how, "unix") == 0 ? try_unix(what)
                             : n == 2 && strcmp(how, "file") == 0 ? try_file(what)
                                                                  : "not an attempt";
        printf("%s: %s\n", argv[i], result);
    }
    return 0;
}
