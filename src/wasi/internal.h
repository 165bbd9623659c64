/* internal.h: what the files of wasi share.
 *
 * Inside, results are the world's: 0 or a count, a negative errno.h code, PARKED or NOTCAPABLE; wasi_answer turns them
 * into what a call answers. */
#ifndef AEON_WASI_INTERNAL_H
#define AEON_WASI_INTERNAL_H

#include "base/must.h"
#include "wasi/calls.h"
#include "wasi/wasi.h"

/* Results that no errno.h has: the program is to be stopped and the call has not happened; a right is missing. */
enum { PARKED = -100000, NOTCAPABLE = -100001 };

/* A directory that the program was given. */
struct grant {
    char *label; /* the option that gave it, as messages call it */
    char *guest;
    bool writable;
    bool can_be_writable; /* `:rw` behind the label would make it so */
};

struct listing;
struct net_file;

/* An open descriptor. */
struct desc {
    bool open;
    bool waits;     /* reading or writing may have to wait: neither file nor directory */
    bool borrowed;  /* the handle outlives the descriptor */
    bool preopened; /* a grant's own directory */
    bool given;     /* a socket that was there from the start */
    uint8_t filetype;
    uint16_t flags;                   /* WASI_FDFLAG_... as the program sees them */
    bool sync_after, sync_data_after; /* flags that the world could not set on an open file */
    bool connecting;                  /* sockets: connect has been called and not yet come to an end */
    int handle;                       /* -1: none, everything is in `net` */
    uint32_t *sharers;                /* how many descriptors have the handle; NULL: this one */
    uint64_t id;                      /* sockets: by which the program can name it; never given twice */
    uint64_t applicable;              /* rights that make sense for what is open */
    uint64_t base, inheriting;
    const struct grant *grant;                 /* that it was reached through; NULL: none */
    char *path;                                /* directories: as the program would name it */
    uint64_t recv_timeout_ns, send_timeout_ns; /* sockets that block; 0: none */
    struct listing *listing;                   /* directories: a piece of the contents */
    struct net_file *net; /* files and directories beneath /net that are not simply a socket; see netfile.c */
};

struct refusal {
    char *sentence;
    struct refusal *next;
};

struct wasi {
    struct world *world;
    struct desc *fds;
    uint32_t cap, nopen, max_fds, lowest_free;
    uint64_t nsockets; /* ever had */
    struct grant **grants;
    uint32_t ngrants;
    char **args, **env;
    uint32_t nargs, nenv;
    uint32_t args_size, env_size; /* bytes with the NULs */
    bool (*stopping)(void *);
    void *stopping_ctx;
    uint64_t deadline_ns; /* of every wait, monotonic */
    void (*yield)(void *);
    void *yield_ctx;
    bool exited;
    uint32_t exit_code;
    struct refusal *refusals;
    uint32_t nrefusals;
    bool looked_for_dirs, has_listener;
    uint8_t *found; /* addresses of the last look-up, for the guest */
};

#define OP(w, op, ...) ((w)->world->ops->op((w)->world, __VA_ARGS__))

/* errno.c */
uint16_t wasi_errno_of(int64_t negative);
static inline int64_t wasi_answer(int64_t r) {
    if (LIKELY(r >= 0))
        return 0;
    return r == PARKED ? ABI_PARK : wasi_errno_of(r);
}

/* descriptor.c */

/* Rights of what is open, by the world's type of it. */
uint64_t wasi_rights_of(enum world_filetype type);
uint8_t wasi_filetype_of(enum world_filetype type);

/* The descriptor, when it is open and has all of `rights`; otherwise NULL and the errno in `*e`. */
struct desc *wasi_desc(struct wasi *w, uint32_t fd, uint64_t rights, int64_t *e);
/* A new descriptor for `handle`, with no rights yet. It has the handle from now on; on failure it is closed.
 * -EMFILE, or what the world said. */
int64_t wasi_desc_new(struct wasi *w, int handle, struct desc **out);
/* Another one for the handle of socket `fd`, with the same rights. -EMFILE. */
int64_t wasi_desc_share(struct wasi *w, uint32_t fd, struct desc **out);
/* One without a handle. -EMFILE. */
int64_t wasi_desc_new_bare(struct wasi *w, uint8_t filetype, struct desc **out);
uint32_t wasi_desc_number(const struct wasi *w, const struct desc *d);
int64_t wasi_desc_close(struct wasi *w, struct desc *d);

/* refusal.c */
void wasi_refuse(struct wasi *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* -EROFS, remembered, when `d` was reached through a directory that is read-only; else 0. `path` may be NULL. */
int64_t wasi_check_writable(struct wasi *w, const struct desc *d, const char *call, const char *path);
/* Remembers `r` when it says that a path leads outside of what was given; passes it on. */
int64_t wasi_check_escape(struct wasi *w, const struct desc *d, const char *call, const char *path, int64_t r);
/* `dir` and `path` as one path in the program's view. */
struct wasi_path {
    char text[WASI_MAX_PATH];
};
const char *wasi_full_path(struct wasi_path *out, const struct desc *dir, const char *path);

/* io.c */

/* Drops the first `n` bytes of pieces. */
void wasi_iov_advance(struct iovec **iov, uint32_t *count, uint64_t n);
/* A descriptor that waits takes all that it is given, unless it is non-blocking. `r` is what the first attempt came to,
 * `again` is one more. Once something was written, that is the answer, whatever ends it. */
int64_t wasi_write_rest(struct wasi *w, struct desc *d, const struct abi_iovs *iovs, int64_t r,
                        int64_t (*again)(struct world *, int, const struct iovec *, int));

/* poll.c: the one place where a call waits. As world's wait, but a wake is only seen by `stopping`: PARKED. */
int64_t wasi_wait(struct wasi *w, struct world_poll *polls, int n, uint64_t deadline_ns);
/* Waits until `d` can be read or written; -EAGAIN when its time-out is over before. */
int64_t wasi_wait_for(struct wasi *w, const struct desc *d, uint32_t want);

/* sock.c: a descriptor that is a socket and has the rights; otherwise NULL and the errno in `*r`. */
struct desc *wasi_socket(struct wasi *w, uint32_t fd, uint64_t rights, int64_t *r);

/* readdir.c */
void wasi_listing_free(struct desc *d);

/* netfile.c: files and directories beneath /net; results as everywhere. */

/* The directory itself. */
int64_t wasi_net_root(struct wasi *w, struct desc **out);
/* path_open of `path` in `dir` with rights that the directory can give. */
int64_t wasi_net_open(struct wasi *w, const struct desc *dir, const char *path, struct abi_path_open *a);
int64_t wasi_net_stat_at(struct wasi *w, const struct desc *dir, const char *path, struct world_stat *out);
int64_t wasi_net_stat(struct wasi *w, const struct desc *d, struct world_stat *out);
int64_t wasi_net_list(struct wasi *w, const struct desc *d, uint64_t cookie,
                      bool (*each)(void *, const struct world_dirent *), void *arg);
int64_t wasi_net_read(struct wasi *w, struct desc *d, const struct abi_iovs *to);
int64_t wasi_net_pread(struct wasi *w, struct desc *d, const struct abi_iovs *to, uint64_t offset);
int64_t wasi_net_write(struct wasi *w, struct desc *d, const struct abi_iovs *from);
int64_t wasi_net_seek(struct wasi *w, struct desc *d, int64_t offset, int whence);
void wasi_net_free(struct desc *d);

/* file.c */
void wasi_filestat_fill(struct wasi_filestat *out, const struct world_stat *st);
void wasi_unstable_filestat_fill(struct wasi_unstable_filestat *out, const struct world_stat *st);
/* World flags of WASI_FST_..., or -EINVAL. */
int64_t wasi_times_flags(uint32_t fst_flags);
uint32_t wasi_world_flags(uint32_t fdflags);

#endif
