/* config.h: configuration files: YAML read against a schema that is data, with errors that name file, line and column.
 *
 * A schema is a table of keys of a mapping, each with a kind and a place in a C struct.  A key that is not in the table
 * is an error ("net.yaml:7:5: unknown key 'alow'; did you mean 'allow'?"), as are a value of the wrong kind, a missing
 * mandatory key, a key given twice, anchors and aliases, tags, and documents of absurd size or depth.  All that is read
 * lives in one arena with the document. libyaml does the parsing and is used nowhere else. */
#ifndef AEON_CONFIG_CONFIG_H
#define AEON_CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

/* A node of a document; what a schema cannot say is read from these. */
enum config_type { CONFIG_SCALAR, CONFIG_LIST, CONFIG_MAP };
struct config_node {
    enum config_type type;
    uint32_t line, column; /* from 1 */
    const char *text;      /* scalars */
    bool quoted;           /* scalars: "true" is not true then */
    uint32_t n;            /* lists: items; maps: pairs */
    struct config_node **items;
    struct config_node **keys; /* maps: scalars, in the order written */
};

struct config {
    struct arena arena;
    const char *name; /* of the file, for errors */
    struct config_node *root;
};

/* Parses one document (an empty one is an empty map). ST_MALFORMED, ST_LIMIT. */
enum { CONFIG_MAX_BYTES = 4 << 20, CONFIG_MAX_DEPTH = 32, CONFIG_MAX_NODES = 1 << 18 };
NODISCARD enum status config_parse(struct span text, const char *name, struct config *out, struct err *e);
void config_deinit(struct config *c);

/* Sets e to "NAME:LINE:COLUMN: words" ("NAME: words" where `at` is NULL); returns ST_INVALID. */
enum status config_error(const struct config *c, const struct config_node *at, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* How the value of a key is read into the struct. `field` points at the key's place. */
typedef enum status (*config_read)(struct config *c, const struct config_node *value, void *field, struct err *e);

struct config_key {
    const char *name;
    config_read read;
    size_t offset;
    bool mandatory;
    const char *doc;
};

/* Reads a map by its keys into `out` (which has the defaults). `what`: "a rule", for errors. */
NODISCARD enum status config_read_map(struct config *c, const struct config_node *map, const char *what,
                                      const struct config_key *keys, uint32_t nkeys, void *out, struct err *e);

/* Readers of common values; texts are the arena's. */
enum status config_text(struct config *c, const struct config_node *v, void *field, struct err *e); /* const char * */
enum status config_bool(struct config *c, const struct config_node *v, void *field, struct err *e); /* bool */
enum status config_count(struct config *c, const struct config_node *v, void *field,
                         struct err *e); /* uint64_t: 1000, 500M */
enum status config_size(struct config *c, const struct config_node *v, void *field,
                        struct err *e); /* uint64_t bytes: 256MiB */
enum status config_duration(struct config *c, const struct config_node *v, void *field,
                            struct err *e); /* uint64_t ns: 30s */
struct config_texts {
    const char **items;
    uint32_t n;
};
enum status config_texts(struct config *c, const struct config_node *v, void *field,
                         struct err *e); /* a text or a list of texts */
/* A path, relative to the directory of the file, made relative to the working directory: const char * */
enum status config_path(struct config *c, const struct config_node *v, void *field, struct err *e);
enum status config_paths(struct config *c, const struct config_node *v, void *field,
                         struct err *e); /* one or a list of them: struct config_texts */
/* A map of texts to texts, as K=V. */
enum status config_pairs(struct config *c, const struct config_node *v, void *field,
                         struct err *e); /* struct config_texts */

/* One value or a list of them, each read by `read_one` into `size` zeroed bytes of a new array of the arena. */
enum status config_items(struct config *c, const struct config_node *v, config_read read_one, size_t size, void **items,
                         uint32_t *n, struct err *e);

/* `path` as it is seen from the working directory when it is meant from the file's. */
const char *config_join(struct config *c, const char *path);

#endif
