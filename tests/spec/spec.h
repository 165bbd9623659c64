/* spec.h: runs the WebAssembly project's own test scripts, as converted by wast2json. */
#ifndef AEON_TESTS_SPEC_H
#define AEON_TESTS_SPEC_H

#include "wasm/wasm.h"

#include <jansson.h>

struct tally {
    unsigned assertions; /* run: all but those below */
    unsigned text;       /* assert_malformed of the text format, which is not ours: skipped */
    unsigned modules;    /* instantiated by the script itself */
    unsigned failures;
};

/* script.c: runs the commands of the JSON file at `path`, modules lying beside it. Failures are printed, each with the
 * line of the script `name`. */
void run_script(const char *name, const char *path, struct tally *t);

/* values.c: a value with its type, as wast2json writes it. False when it is not understood. */
bool value_from_json(const json_t *j, enum wasm_type *type, union wasm_value *v);

/* Whether `v` is what `expected` demands; NaN patterns included. */
bool value_matches(const json_t *expected, enum wasm_type type, const union wasm_value *v);

/* For a failure's message. */
void value_print(char *out, size_t size, enum wasm_type type, const union wasm_value *v);

// Gives all functions of a module compiled code (compiled.c), or does nothing (interpreted.c).
void spec_compile(struct wasm_store *s, const struct wasm_module *m);

// Every call is stopped again and again at random ticks.
extern bool stepped;

#endif
