/* udp_echo ADDRESS PORT [COUNT]: sends every datagram back to where it came from, and says from where that was; ends
 * after so many. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <aeon_socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_from(const struct sockaddr_storage *from, size_t n) {
    char text[INET6_ADDRSTRLEN] = "?";
    int port = 0;
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        port = ntohs(in->sin_port);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)from;
        inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
        port = ntohs(in->sin6_port);
    }
    printf("%zu bytes from %s port %d\n", n, text, port);
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: udp_echo ADDRESS PORT [COUNT]\n");
        return 2;
    }
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_DGRAM}, *found;
    int error = getaddrinfo(argv[1], argv[2], &hints, &found);
    if (error) {
        fprintf(stderr, "udp_echo: %s: %s\n", argv[1], gai_strerror(error));
        return 1;
    }
    int fd = socket(found->ai_family, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0) {
        fprintf(stderr, "udp_echo: %s port %s: %s\n", argv[1], argv[2], strerror(errno));
        return 1;
    }
    freeaddrinfo(found);
    unsigned long most = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    for (unsigned long i = 0; most == 0 || i < most; i++) {
        static char data[65536];
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&from, &size);
        if (n < 0 || sendto(fd, data, (size_t)n, 0, (struct sockaddr *)&from, size) < 0) {
            fprintf(stderr, "udp_echo: %s\n", strerror(errno));
            return 1;
        }
        print_from(&from, (size_t)n);
    }
    close(fd);
    return 0;
}
