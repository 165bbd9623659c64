/* box.h: a world of the layer over the machine, for one test program, and short words for what is done to it. */
#ifndef AEON_TESTS_FILES_BOX_H
#define AEON_TESTS_FILES_BOX_H

#include "world/files/files.h"

extern struct world *os, *files; /* after box_new */
void box_new(void);              /* makes a temporary directory, too (tree.h) */
void box_free(void);

/* Paths that begin in the temporary directory; static storage, good for a few calls. */
const char *box_path(const char *path);

/* Handles of trees there; they must open. */
int box_dir(const char *path, uint64_t size_bytes, uint64_t count);
int box_overlay(const char *lower, const char *upper, uint64_t size_bytes, uint64_t count);
extern unsigned box_met; /* how often a quota was said to be met */
extern char box_sentence[4096];

/* On a directory handle; 0 or -errno, as the operations do. */
int64_t put(int dir, const char *path, const char *text);       /* creates or truncates, and writes; what was written */
int64_t append(int dir, const char *path, const char *text);    /* what was written */
int64_t get(int dir, const char *path, char *out, size_t size); /* NUL-terminated */
const char *text_of(int dir, const char *path);                 /* static storage; an error's name when it fails */
int64_t read_at(int fd, char *out, size_t size);                /* from where it stands, NUL-terminated */
int64_t write_text(int fd, const char *text);
/* Names in a directory, sorted and joined by blanks, without `.` and `..`; static storage. */
const char *names_in(int dir, const char *path);

#define OP(name, ...) (files->ops->name(files, ##__VA_ARGS__))

#endif
