/* wasi_preview1.h: the functions of `wasi_snapshot_preview1`, one row each, in the order of their names' families.
 *
 *     CALL(name, RESULT, effect, "what it does", P(KIND, param) P(KIND, param) ...)
 *
 * RESULT   ERRNO: an i32 that is 0 or a WASI_E...; NORETURN: no result, the guest does not go on.
 * effect   ABI_READS: changes nothing that anybody else can see; ABI_WRITES: does; | ABI_BLOCKS: may have to wait.
 * P        parameters in Wasm order. A kind says how many Wasm values it takes and what they mean: abi.h has the list.
 *          P(KIND, param, count) is an array whose number of elements is the value of the parameter `count`.
 *
 * The number of a row is part of the journal format: new rows go to the end. */
#ifndef AEON_ABI_WASI_PREVIEW1_H
#define AEON_ABI_WASI_PREVIEW1_H

#define ABI_WASI_PREVIEW1_MODULE "wasi_snapshot_preview1"

// clang-format off
#define ABI_WASI_PREVIEW1(CALL) \
    CALL(args_get, ERRNO, ABI_READS, "the command line", \
         P(STRINGS_OUT, argv)) \
    CALL(args_sizes_get, ERRNO, ABI_READS, "how many arguments there are, and their bytes", \
         P(OUT_SIZE, argc) P(OUT_SIZE, size)) \
    CALL(environ_get, ERRNO, ABI_READS, "the environment, as NAME=VALUE", \
         P(STRINGS_OUT, env)) \
    CALL(environ_sizes_get, ERRNO, ABI_READS, "how many variables there are, and their bytes", \
         P(OUT_SIZE, count) P(OUT_SIZE, size)) \
    CALL(clock_res_get, ERRNO, ABI_READS, "the resolution of a clock", \
         P(CLOCKID, id) P(OUT_TIMESTAMP, resolution)) \
    CALL(clock_time_get, ERRNO, ABI_READS, "what a clock shows", \
         P(CLOCKID, id) P(TIMESTAMP, precision) P(OUT_TIMESTAMP, time)) \
    CALL(fd_advise, ERRNO, ABI_READS, "say how a file will be read", \
         P(FD, fd) P(FILESIZE, offset) P(FILESIZE, len) P(ADVICE, advice)) \
    CALL(fd_allocate, ERRNO, ABI_WRITES, "make room for part of a file", \
         P(FD, fd) P(FILESIZE, offset) P(FILESIZE, len)) \
    CALL(fd_close, ERRNO, ABI_WRITES, "close a descriptor", \
         P(FD_CLOSE, fd)) \
    CALL(fd_datasync, ERRNO, ABI_WRITES, "bring a file's data to the disk", \
         P(FD, fd)) \
    CALL(fd_fdstat_get, ERRNO, ABI_READS, "a descriptor's type, flags and rights", \
         P(FD, fd) P(OUT_FDSTAT, stat)) \
    CALL(fd_fdstat_set_flags, ERRNO, ABI_READS, "set a descriptor's flags", \
         P(FD, fd) P(FDFLAGS, flags)) \
    CALL(fd_fdstat_set_rights, ERRNO, ABI_READS, "give up rights of a descriptor", \
         P(FD, fd) P(RIGHTS, base) P(RIGHTS, inheriting)) \
    CALL(fd_filestat_get, ERRNO, ABI_READS, "the attributes of an open file", \
         P(FD, fd) P(OUT_FILESTAT, stat)) \
    CALL(fd_filestat_set_size, ERRNO, ABI_WRITES, "cut or extend an open file", \
         P(FD, fd) P(FILESIZE, size)) \
    CALL(fd_filestat_set_times, ERRNO, ABI_WRITES, "set the times of an open file", \
         P(FD, fd) P(TIMESTAMP, atim) P(TIMESTAMP, mtim) P(FSTFLAGS, fst_flags)) \
    CALL(fd_pread, ERRNO, ABI_READS, "read at an offset", \
         P(FD, fd) P(IOVS_OUT, iovs) P(FILESIZE, offset) P(OUT_DONE, nread)) \
    CALL(fd_prestat_get, ERRNO, ABI_READS, "whether a descriptor was given at the start, and how long its name is", \
         P(FD, fd) P(OUT_PRESTAT, prestat)) \
    CALL(fd_prestat_dir_name, ERRNO, ABI_READS, "the name under which a directory was given", \
         P(FD, fd) P(TEXT_OUT, path)) \
    CALL(fd_pwrite, ERRNO, ABI_WRITES, "write at an offset", \
         P(FD, fd) P(IOVS_IN, iovs) P(FILESIZE, offset) P(OUT_DONE, nwritten)) \
    CALL(fd_read, ERRNO, ABI_READS | ABI_BLOCKS, "read from a descriptor", \
         P(FD, fd) P(IOVS_OUT, iovs) P(OUT_DONE, nread)) \
    CALL(fd_readdir, ERRNO, ABI_READS, "list a directory", \
         P(FD, fd) P(DIRENTS_OUT, buf) P(DIRCOOKIE, cookie) P(OUT_SIZE, bufused)) \
    CALL(fd_renumber, ERRNO, ABI_WRITES, "move a descriptor over another", \
         P(FD_MOVE, fd) P(FD_OVER, to)) \
    CALL(fd_seek, ERRNO, ABI_READS, "move a file's offset", \
         P(FD, fd) P(FILEDELTA, offset) P(WHENCE, whence) P(OUT_FILESIZE, newoffset)) \
    CALL(fd_sync, ERRNO, ABI_WRITES, "bring a file to the disk", \
         P(FD, fd)) \
    CALL(fd_tell, ERRNO, ABI_READS, "a file's offset", \
         P(FD, fd) P(OUT_FILESIZE, offset)) \
    CALL(fd_write, ERRNO, ABI_WRITES | ABI_BLOCKS, "write to a descriptor", \
         P(FD, fd) P(IOVS_IN, iovs) P(OUT_DONE, nwritten)) \
    CALL(path_create_directory, ERRNO, ABI_WRITES, "make a directory", \
         P(FD, fd) P(PATH, path)) \
    CALL(path_filestat_get, ERRNO, ABI_READS, "the attributes of a file", \
         P(FD, fd) P(LOOKUPFLAGS, flags) P(PATH, path) P(OUT_FILESTAT, stat)) \
    CALL(path_filestat_set_times, ERRNO, ABI_WRITES, "set the times of a file", \
         P(FD, fd) P(LOOKUPFLAGS, flags) P(PATH, path) P(TIMESTAMP, atim) P(TIMESTAMP, mtim) P(FSTFLAGS, fst_flags)) \
    CALL(path_link, ERRNO, ABI_WRITES, "give a file a second name", \
         P(FD, old_fd) P(LOOKUPFLAGS, old_flags) P(PATH, old_path) P(FD, new_fd) P(PATH, new_path)) \
    CALL(path_open, ERRNO, ABI_WRITES, "open a file or directory", \
         P(FD, fd) P(LOOKUPFLAGS, dirflags) P(PATH, path) P(OFLAGS, oflags) P(RIGHTS, rights_base) \
         P(RIGHTS, rights_inheriting) P(FDFLAGS, fdflags) P(OUT_FD, opened_fd)) \
    CALL(path_readlink, ERRNO, ABI_READS, "what a symbolic link says", \
         P(FD, fd) P(PATH, path) P(TEXT_OUT, buf) P(OUT_SIZE, bufused)) \
    CALL(path_remove_directory, ERRNO, ABI_WRITES, "remove an empty directory", \
         P(FD, fd) P(PATH, path)) \
    CALL(path_rename, ERRNO, ABI_WRITES, "rename a file or directory", \
         P(FD, fd) P(PATH, old_path) P(FD, new_fd) P(PATH, new_path)) \
    CALL(path_symlink, ERRNO, ABI_WRITES, "make a symbolic link", \
         P(PATH, old_path) P(FD, fd) P(PATH, new_path)) \
    CALL(path_unlink_file, ERRNO, ABI_WRITES, "remove a file", \
         P(FD, fd) P(PATH, path)) \
    CALL(poll_oneoff, ERRNO, ABI_READS | ABI_BLOCKS, "wait until something subscribed to has happened", \
         P(SUBSCRIPTIONS_IN, in, nsubscriptions) P(EVENTS_OUT, out, nsubscriptions) P(SIZE, nsubscriptions) \
         P(OUT_SIZE, nevents)) \
    CALL(proc_exit, NORETURN, ABI_READS, "end the program", \
         P(EXITCODE, code)) \
    CALL(proc_raise, ERRNO, ABI_READS, "send a signal to the program itself", \
         P(SIGNAL, sig)) \
    CALL(sched_yield, ERRNO, ABI_READS, "let others run", ) \
    CALL(random_get, ERRNO, ABI_READS, "random bytes", \
         P(BYTES_OUT, buf)) \
    CALL(sock_accept, ERRNO, ABI_READS | ABI_BLOCKS, "accept a connection", \
         P(FD, fd) P(FDFLAGS, flags) P(OUT_FD, connection_fd)) \
    CALL(sock_recv, ERRNO, ABI_READS | ABI_BLOCKS, "receive from a socket", \
         P(FD, fd) P(IOVS_OUT, iovs) P(RIFLAGS, ri_flags) P(OUT_DONE, nread) P(OUT_ROFLAGS, ro_flags)) \
    CALL(sock_send, ERRNO, ABI_WRITES | ABI_BLOCKS, "send on a socket", \
         P(FD, fd) P(IOVS_IN, iovs) P(SIFLAGS, si_flags) P(OUT_DONE, nsent)) \
    CALL(sock_shutdown, ERRNO, ABI_WRITES, "close one or both directions of a connection", \
         P(FD, fd) P(SDFLAGS, how))
// clang-format on

#endif
