/* http_client URL: fetches http://HOST[:PORT]/PATH and prints the response, head and body. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "dial.h"

#include <stdlib.h>

int main(int argc, char **argv) {
    static const char scheme[] = "http://";
    if (argc != 2 || strncmp(argv[1], scheme, sizeof scheme - 1) != 0) {
        fprintf(stderr, "usage: http_client http://HOST[:PORT]/PATH\n");
        return 2;
    }
    char *host = strdup(argv[1] + sizeof scheme - 1), request[2048];
    char *slash = strchr(host, '/');
    const char *path = slash ? argv[1] + sizeof scheme - 1 + (slash - host) : "/", *port = "80";
    if (slash)
        *slash = 0;
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: %s\r\nAccept: */*\r\n\r\n", path, host);
    if (n >= (int)sizeof request) {
        fprintf(stderr, "http_client: the URL is too long\n");
        return 2;
    }
    char *colon = strrchr(host, ':');
    if (colon && !strchr(colon, ']')) {
        *colon = 0;
        port = colon + 1;
    }
    if (*host == '[' && host[strlen(host) - 1] == ']') {
        host[strlen(host) - 1] = 0;
        host++;
    }
    int fd = dial(host, port);
    if (fd < 0)
        return 1;
    if (send_all(fd, request, (size_t)n) < 0 || print_all(fd) < 0) {
        fprintf(stderr, "http_client: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    close(fd);
    return 0;
}
