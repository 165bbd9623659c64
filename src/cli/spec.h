/* spec.h: what a user asks for when starting guests, made into what node runs. */
#ifndef AEON_CLI_SPEC_H
#define AEON_CLI_SPEC_H

#include "base/arena.h"
#include "cli/options.h"
#include "node/node.h"

/* The values of `aeon run`'s options that concern one guest. */
struct spec_options {
    struct option_list dirs, overlays, env, listen, publish, cas;
    const char *policy, *chaos;
    struct app_limits limits;
};

/* Guests, and all that they borrow. */
struct spec {
    struct arena arena;
    struct node_guest *guests;
    uint32_t nguests;
    struct policy *policy; /* of the one guest */
    struct app *app;
};

/* One guest from a module; `args` with argv[0], borrowed. */
NODISCARD enum status spec_of_module(struct node *n, const struct spec_options *o, const char *module,
                                     struct config_texts args, struct spec *out, struct err *e);
/* The guests of a manifest. */
NODISCARD enum status spec_of_app(struct node *n, const char *path, struct spec *out, struct err *e);
void spec_deinit(struct spec *s);

#endif
