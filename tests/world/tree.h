/* tree.h: a temporary directory for one test program. */
#ifndef AEON_TESTS_WORLD_TREE_H
#define AEON_TESTS_WORLD_TREE_H

/* Makes one and returns its path; static storage. */
const char *tree_new(void);
/* Removes it and all that is in it. */
void tree_remove(void);

/* All paths below are relative to it. */
int tree_fd(void);
void tree_dir(const char *path);
void tree_file(const char *path, const char *contents);
void tree_fifo(const char *path);
void tree_link(const char *path, const char *says);
/* What a file holds; static storage. NULL: no such file. */
const char *tree_read(const char *path);

#endif
