/* model.h: a file system in memory, as plain as can be, to compare others with. Answers are 0 or more, or -errno. */
#ifndef AEON_TESTS_FILES_MODEL_H
#define AEON_TESTS_FILES_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry {
    char name[16];
    struct inode *inode;
    struct entry *next;
};

enum { MODEL_TEXT = 4096 };

struct inode {
    enum { M_FILE, M_DIR, M_LINK } type;
    bool lower; /* of an overlay's lower directory */
    unsigned nlink, lower_nlink;
    size_t size;
    char text[MODEL_TEXT];
    struct entry *entries; /* sorted */
    struct inode *parent;  /* directories; NULL: the root, or removed */
    bool gone;
    uint64_t seen_dev, seen_ino; /* what the other side said it is; 0: nothing yet */
    struct inode *all;           /* to free them */
};

extern struct inode *model_root;
void model_new(void);
void model_free(void);
/* Everything now in it is in the lower directory of an overlay. */
void model_is_lower(void);

/* Where a path leads. */
struct where {
    struct inode *dir;
    struct entry *entry; /* NULL: not there */
    char name[16];
    int dots;
    bool slash;
};
enum { FOLLOW = 1, CREATE = 2 };
int model_find(struct inode *start, const char *path, int how, struct where *out);

/* Opening for reading or writing; 0 and the file or directory. */
int model_open(struct inode *start, const char *path, bool write, bool create, bool excl, bool trunc,
               struct inode **out, struct where *at);
int model_make_dir(struct inode *start, const char *path);
int model_remove(struct inode *start, const char *path, bool directory);
int model_rename(struct inode *start, const char *path, struct inode *to_start, const char *to);
int model_link(struct inode *start, const char *path, struct inode *to_start, const char *to, bool follow);
int model_symlink(const char *target, struct inode *start, const char *path);
int model_touch(struct inode *start, const char *path);
int model_pwrite(struct inode *f, const char *text, size_t n, size_t at);

/* The name was copied up: told of every change to a file of `lower`, before it happens. Who has it open reads
 * `now` from then on. */
extern void (*model_copied)(struct inode *dir, const char *name, struct inode *was, struct inode *now);

#endif
