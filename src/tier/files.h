/* files.h: small things with files and directories; internal to src/tier. */
#ifndef AEON_TIER_FILES_H
#define AEON_TIER_FILES_H

#include "base/buf.h"
#include "world/world.h"

/* A directory that is this user's alone, made (0700) with `make`. A handle, or a negative errno. */
int files_open_dir(struct world *w, int dir, const char *path, bool make);

/* The names in a directory, sorted; `.` and `..` left out. */
struct names {
    char **name;
    uint32_t n;
};
int names_read(struct world *w, int dir, struct names *out);
void names_free(struct names *names);

bool name_ends(const char *name, const char *suffix);

/* 16 hex digits that nobody else has. */
int files_random(struct world *w, char out[17]);

/* Makes `name` with these bytes, whole or not at all (0400). */
int files_write(struct world *w, int dir, const char *name, struct span bytes);
/* Appends a file that is this user's alone. */
int files_read(struct world *w, int dir, const char *name, struct buf *out);

/* The rest of the line in `text` that begins with `word` and a blank, copied; "" when there is none. */
char *text_value(const char *text, const char *word);

#endif
