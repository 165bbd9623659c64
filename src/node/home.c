#include "node/home.h"

#include "base/buf.h"
#include "base/must.h"

#include <stdlib.h>

static const char *variable(const char *name) {
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

enum status node_find_home(char **out, struct err *e) {
    const char *aeon = variable("AEON_HOME"), *xdg = variable("XDG_DATA_HOME"), *home = variable("HOME");
    struct buf b;
    buf_init(&b, 4096);
    if (aeon)
        buf_print(&b, "%s", aeon);
    else if (xdg && xdg[0] == '/')
        buf_print(&b, "%s/aeon", xdg);
    else if (home)
        buf_print(&b, "%s/.local/share/aeon", home);
    enum status s = ST_OK;
    if (b.failed)
        s = err_set(e, ST_INVALID, "the store's path is longer than %zu bytes: shorten AEON_HOME", b.max);
    else if (!b.size)
        s = err_set(e, ST_NOT_FOUND,
                    "nowhere to keep runs: neither AEON_HOME, XDG_DATA_HOME nor HOME is set; set AEON_HOME "
                    "to a directory");
    else
        *out = mem_strdup(buf_cstr(&b));
    buf_deinit(&b);
    return s;
}
