#include "node/grant.h"

#include "base/must.h"
#include "base/units.h"

#include <string.h>

/* Takes one ",KEY=VALUE" off the end of `text`; false when there is none. */
static bool take_quota(char *text, struct grant_dir *out, enum status *s, struct err *e) {
    char *comma = strrchr(text, ',');
    if (!comma)
        return false;
    if (strncmp(comma, ",size=", 6) == 0)
        *s = units_size(comma + 6, &out->size_bytes, e);
    else if (strncmp(comma, ",count=", 7) == 0)
        *s = units_count(comma + 7, &out->count, e);
    else
        return false;
    if (!*s && (comma[1] == 's' ? out->size_bytes : out->count) == 0)
        *s = err_set(e, ST_INVALID, "a quota of nothing; to forbid writing, :ro");
    *comma = '\0';
    return true;
}

static bool is_archive(const char *host) {
    size_t n = strlen(host);
    return n > 4 && strcmp(host + n - 4, ".tar") == 0;
}

/* HOST:GUEST; `form` is what it should have been. */
static enum status split(const char *option, const char *text, const char *form, char *host, struct grant_dir *out,
                         struct err *e) {
    char *colon = strrchr(host, ':');
    if (!colon)
        return err_set(e, ST_INVALID, "%s %s: the guest's name for it is missing: %s, such as %s:/data", option, text,
                       form, *host ? host : ".");
    if (colon == host)
        return err_set(e, ST_INVALID, "%s %s: the directory is missing: %s, such as .%s", option, text, form, text);
    if (!colon[1])
        return err_set(e, ST_INVALID, "%s %s: the guest's name for it is empty: %s", option, text, form);
    *colon = '\0';
    out->host = mem_strdup(host);
    out->guest = mem_strdup(colon + 1);
    return ST_OK;
}

static enum status quotas(const char *option, const char *text, char *host, struct grant_dir *out, struct err *e) {
    enum status s = ST_OK;
    while (!s && take_quota(host, out, &s, e))
        ;
    return s ? err_wrap(e, s, "%s %s", option, text) : ST_OK;
}

enum status grant_dir_parse(const char *text, struct grant_dir *out, struct err *e) {
    static const char form[] = "HOST:GUEST[:ro|rw]";
    struct grant_dir d = {.mode = GRANT_RW};
    char *host = mem_strdup(text);
    enum status s = quotas("--dir", text, host, &d, e);
    char *colon = strrchr(host, ':');
    bool said = colon && (!strcmp(colon, ":ro") || !strcmp(colon, ":rw"));
    if (said) {
        d.mode = colon[2] == 'w' ? GRANT_RW : GRANT_RO;
        *colon = '\0';
    }
    if (!s)
        s = split("--dir", text, form, host, &d, e);
    if (!s && is_archive(d.host)) {
        if (said && d.mode == GRANT_RW)
            s = err_set(e, ST_INVALID,
                        "--dir %s: an archive can only be read; give it as :ro, or as --overlay to keep changes apart",
                        text);
        d.mode = GRANT_ARCHIVE;
    }
    if (!s && d.mode != GRANT_RW && (d.size_bytes || d.count))
        s = err_set(e, ST_INVALID, "--dir %s: a quota is of what the guest may write, and this it may only read", text);
    mem_free(host);
    if (s)
        grant_dir_deinit(&d);
    else
        *out = d;
    return s;
}

enum status grant_overlay_parse(const char *text, struct grant_dir *out, struct err *e) {
    struct grant_dir d = {.mode = GRANT_OVERLAY};
    char *host = mem_strdup(text);
    enum status s = quotas("--overlay", text, host, &d, e);
    char *colon = strrchr(host, ':');
    if (!s && colon && (!strcmp(colon, ":ro") || !strcmp(colon, ":rw")))
        s = err_set(e, ST_INVALID,
                    "--overlay %s: an overlay is always writable, and what it lies on never: LOWER:GUEST", text);
    if (!s)
        s = split("--overlay", text, "LOWER:GUEST", host, &d, e);
    mem_free(host);
    if (s)
        grant_dir_deinit(&d);
    else
        *out = d;
    return s;
}

void grant_dir_deinit(struct grant_dir *d) {
    mem_free(d->host);
    mem_free(d->guest);
    *d = (struct grant_dir){0};
}
