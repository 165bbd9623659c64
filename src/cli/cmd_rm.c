/* aeon rm ID... */
#include "cli/cli.h"

static int rm(struct cli *c, void *values, int n, char **operands) {
    (void)values;
    struct node *node = NULL;
    struct err e = ERR_INIT;
    int status = EXIT_YES;
    if (node_open(true, &node, &e))
        return cli_failed(c, &e);
    /* one that cannot be removed does not keep the others */
    for (int i = 0; i < n; i++) {
        struct store_id id;
        err_clear(&e);
        if (store_find(node_store(node), operands[i], &id, &e) || store_remove(node_store(node), &id, &e))
            status = cli_failed(c, &e);
    }
    node_close(node);
    return status;
}

const struct command cmd_rm = {
    .name = "rm",
    .operands = "ID...",
    .summary = "remove runs",
    .about = "Removes runs and all that was recorded of them. A run that still goes on is left alone.",
    .min_operands = 1,
    .max_operands = -1,
    .failed = EXIT_FAILED,
    .run = rm,
};
