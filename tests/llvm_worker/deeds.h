/* What the fake compiler does when it is to compile the function of that number. */
#ifndef TESTS_LLVM_WORKER_DEEDS_H
#define TESTS_LLVM_WORKER_DEEDS_H

enum deed {
    DEED_COMPILE,
    DEED_REFUSE,       /* answers ST_LIMIT and a sentence */
    DEED_OPEN,         /* opens a file */
    DEED_SOCKET,       /* makes a socket */
    DEED_FORK,         /* forks */
    DEED_THREAD,       /* makes a thread */
    DEED_EXEC,         /* runs another program */
    DEED_KILL,         /* kills its parent */
    DEED_TGKILL,       /* signals its parent's thread */
    DEED_MAP_CODE,     /* maps executable memory */
    DEED_PROTECT_CODE, /* makes memory executable */
    DEED_PTRACE,       /* lets itself be traced */
    DEED_ABORT,        /* aborts */
    DEED_SPIN,         /* for ever */
    DEED_EAT,          /* allocates for ever, and writes to it */
    DEED_RECURSE,      /* 32 MiB deep, which must work */
    DEED_SORT,         /* sorts much, and asks libraries what real compilers ask */
    DEED_COUNT
};

#endif
