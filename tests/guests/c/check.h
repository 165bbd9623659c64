// What the guests that test themselves share: a check says what failed and where, and ends the program with status 1.
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                            \
    do {                                                                                                            \
        if (!(condition)) {                                                                                         \
            printf("FAIL %s:%d: %s (errno %d, %s)\n", __FILE_NAME__, __LINE__, #condition, errno, strerror(errno)); \
            exit(1);                                                                                                \
        }                                                                                                           \
    } while (0)

// The call must fail, and with this errno.
#define CHECK_FAILS(call, wanted) \
    do {                          \
        errno = 0;                \
        CHECK((call) == -1);      \
        CHECK(errno == (wanted)); \
    } while (0)

#endif
