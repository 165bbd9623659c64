#include "node/grant.h"

#include "base/must.h"

#include <string.h>

enum status grant_dir_parse(const char *text, struct grant_dir *out, struct err *e) {
    char *host = mem_strdup(text), *colon = strrchr(host, ':');
    bool writable = true;
    if (colon && (!strcmp(colon, ":ro") || !strcmp(colon, ":rw"))) {
        writable = colon[2] == 'w';
        *colon = 0;
        colon = strrchr(host, ':');
    }
    enum status s = ST_OK;
    if (!colon)
        s = err_set(e, ST_INVALID, "--dir %s: the guest's name for it is missing: HOST:GUEST[:ro|rw], such as %s:/data",
                    text, *host ? host : ".");
    else if (colon == host)
        s = err_set(e, ST_INVALID, "--dir %s: the directory is missing: HOST:GUEST[:ro|rw], such as .%s", text, text);
    else if (!colon[1])
        s = err_set(e, ST_INVALID, "--dir %s: the guest's name for it is empty: HOST:GUEST[:ro|rw]", text);
    if (s) {
        mem_free(host);
        return s;
    }
    *colon = 0;
    *out = (struct grant_dir){.host = host, .guest = mem_strdup(colon + 1), .writable = writable};
    return ST_OK;
}

void grant_dir_deinit(struct grant_dir *d) {
    mem_free(d->host);
    mem_free(d->guest);
}
