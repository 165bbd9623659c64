/* disk.h: small things with files and directories; internal to src/tier. */
#ifndef AEON_TIER_DISK_H
#define AEON_TIER_DISK_H

#include "base/buf.h"
#include "world/world.h"

/* A directory that is this user's alone, made (0700) with `make`. A handle, or a negative errno. */
int disk_open_dir(struct world *w, int dir, const char *path, bool make);
/* All directories above `path` that there are not; whether it worked shows when `path` is opened. */
void disk_make_parents(struct world *w, const char *path);

/* The names in a directory, sorted; `.` and `..` left out. */
struct disk_names {
    char **name;
    uint32_t n;
};
int disk_list(struct world *w, int dir, struct disk_names *out);
void disk_names_free(struct disk_names *names);

bool name_ends(const char *name, const char *suffix);

/* 16 hex digits that nobody else has. */
int disk_random(struct world *w, char out[17]);

/* Makes `name` with these bytes, whole or not at all (0400). */
int disk_write(struct world *w, int dir, const char *name, struct span bytes);
/* Appends a file that is this user's alone. */
int disk_read(struct world *w, int dir, const char *name, struct buf *out);

/* The rest of the line in `text` that begins with `word` and a blank, copied; "" when there is none. */
char *text_value(const char *text, const char *word);

#endif
