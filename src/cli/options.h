/* options.h: command-line options declared as data, and the one parser of them.
 *
 * A command has a table of `struct option` and a plain struct that takes the values; every row says where in that
 * struct its value goes and which function reads it.  Help, usage lines and "did you mean" come from the same rows. */
#ifndef AEON_CLI_OPTIONS_H
#define AEON_CLI_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"

/* Reads `text` into `field`; on ST_INVALID the error says what is wrong with the text, without naming the option. */
typedef enum status (*option_read)(const char *text, void *field, struct err *e);

struct option {
    const char *name;  /* long form, without the dashes */
    char letter;       /* short form, or 0 */
    option_read read;  /* NULL: takes no value, sets a bool */
    const char *value; /* the value's name in help; NULL where `read` is */
    size_t offset;     /* of the field in the command's struct */
    const char *help;  /* one or more lines, each fitting beside the names */
};

/* A repeatable option's texts, in the order given; borrowed from argv. Free `items`. */
struct option_list {
    const char **items;
    uint32_t n;
};

enum status option_text(const char *text, void *field, struct err *e);     /* const char * */
enum status option_append(const char *text, void *field, struct err *e);   /* struct option_list */
enum status option_size(const char *text, void *field, struct err *e);     /* uint64_t bytes: 4096, 64KiB, 10GB */
enum status option_duration(const char *text, void *field, struct err *e); /* uint64_t ns: 250ms, 30s, 1h */
enum status option_count(const char *text, void *field, struct err *e);    /* uint64_t: 1000, 500M, 2G */

/* What surrounds the options of one command. */
struct option_set {
    const char *command; /* "run", for messages; NULL for aeon itself */
    const struct option *rows;
    uint32_t nrows;
    bool stop_at_first; /* the first operand ends the options: what follows is somebody else's */
};

/* Reads argv[0..argc) into `values`. Operands are moved to the front of argv, `*noperands` counts them; with
 * stop_at_first everything from the first operand on is an operand, taken as it is.  Else "--" ends the options and is
 * dropped.  `*help` is set when --help or -h is met (nothing else is then looked at).  ST_INVALID: the text says which
 * option and what to do. */
NODISCARD enum status options_parse(const struct option_set *set, int argc, char **argv, void *values, int *noperands,
                                    bool *help, struct err *e);

/* Appends the lines that describe the options. */
void options_help(const struct option_set *set, struct buf *out);

#endif
