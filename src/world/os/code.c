#include "world/os/code.h"

#include "world/os/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static int check(const struct stat *st) {
    return st->st_uid == geteuid() && !(st->st_mode & (S_IWGRP | S_IWOTH)) ? 0 : -EPERM;
}

int code_check_owner(struct world *w, int fd) {
    struct stat st;
    (void)w;
    return fstat(fd, &st) < 0 ? -errno : check(&st);
}

static int map(int fd, struct span *out) {
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || check(&st))
        return -EPERM;
    if (st.st_size == 0)
        return -ENODATA;
    size_t size = (size_t)st.st_size;
    void *p = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    if (p != MAP_FAILED) {
        *out = SPAN(p, size);
        return 0;
    }
    if (errno != EPERM && errno != EACCES)
        return -errno;
    p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    int rc = code_copy(SPAN(p, size), out);
    munmap(p, size);
    return rc;
}

int code_map(struct world *w, int dir, const char *name, struct span *out) {
    (void)w;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ELOOP ? -EPERM : -errno;
    int rc = map(fd, out);
    close(fd);
    return rc;
}

int code_copy(struct span bytes, struct span *out) {
    void *p = mmap(NULL, bytes.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return -errno;
    memcpy(p, bytes.data, bytes.size);
    if (mprotect(p, bytes.size, PROT_READ | PROT_EXEC) < 0) {
        int error = errno;
        munmap(p, bytes.size);
        return -error;
    }
    *out = SPAN(p, bytes.size);
    return 0;
}

void code_unmap(struct span code) {
    if (code.data)
        munmap((void *)code.data, code.size);
}
