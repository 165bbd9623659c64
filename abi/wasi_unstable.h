/* wasi_unstable.h: what `wasi_unstable`, the predecessor of preview 1, has differently.
 *
 * Its functions are those of preview 1 by name (without sock_accept), and the rows of wasi_preview1.h serve for both
 * but for these, whose layouts are others:
 *   filestat     56 bytes: nlink is a u32 at offset 20, and all that follows comes 8 bytes earlier
 *   whence       0 is the current position, 1 the end, 2 the start
 *   subscription 56 bytes: a clock's has a u64 identifier in front
 * An import from `wasi_unstable` is looked up here first and then there. The argument structs of these rows are called
 * abi_unstable_<name>. */
#ifndef AEON_ABI_WASI_UNSTABLE_H
#define AEON_ABI_WASI_UNSTABLE_H

#define ABI_WASI_UNSTABLE_MODULE "wasi_unstable"

// clang-format off
#define ABI_WASI_UNSTABLE(CALL) \
    CALL(fd_filestat_get, ERRNO, ABI_READS, "the attributes of an open file", \
         P(FD, fd) P(OUT_UNSTABLE_FILESTAT, stat)) \
    CALL(fd_seek, ERRNO, ABI_READS, "move a file's offset", \
         P(FD, fd) P(FILEDELTA, offset) P(UNSTABLE_WHENCE, whence) P(OUT_FILESIZE, newoffset)) \
    CALL(path_filestat_get, ERRNO, ABI_READS, "the attributes of a file", \
         P(FD, fd) P(LOOKUPFLAGS, flags) P(PATH, path) P(OUT_UNSTABLE_FILESTAT, stat)) \
    CALL(poll_oneoff, ERRNO, ABI_READS | ABI_BLOCKS, "wait until something subscribed to has happened", \
         P(UNSTABLE_SUBSCRIPTIONS_IN, in, nsubscriptions) P(EVENTS_OUT, out, nsubscriptions) P(SIZE, nsubscriptions) \
         P(OUT_SIZE, nevents))
// clang-format on

#endif
