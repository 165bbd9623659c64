#include "store/reader.h"

#include "base/must.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

/* ---- ids ---- */

/* UUID version 7 (RFC 9562): milliseconds, then their fraction in 12 bits, so that ids sort by time, then randomness.
 */
int store_id_new(struct store *s, uint64_t realtime_ns, struct store_id *out) {
    uint8_t *b = out->bytes;
    int rc = s->world->ops->entropy(s->world, b, sizeof out->bytes);
    if (rc < 0)
        return rc;
    uint64_t ms = realtime_ns / 1000000, fraction = realtime_ns % 1000000 * 4096 / 1000000;
    for (int i = 0; i < 6; i++)
        b[i] = (uint8_t)(ms >> (40 - 8 * i));
    b[6] = (uint8_t)(0x70 | fraction >> 8);
    b[7] = (uint8_t)fraction;
    b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
    return 0;
}

void store_id_text(const struct store_id *id, char out[STORE_ID_TEXT]) {
    char *p = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        p += snprintf(p, 3, "%02x", id->bytes[i]);
    }
}

void store_id_short(const struct store_id *id, char out[STORE_ID_SHORT]) {
    for (int i = 0; i < 4; i++)
        snprintf(out + i * 2, 3, "%02x", id->bytes[12 + i]);
}

bool store_id_parse(const char *text, struct store_id *out) {
    struct store_id id;
    char back[STORE_ID_TEXT];
    const char *p = text;
    for (int i = 0; i < 16; i++) {
        unsigned v;
        if (*p == '-')
            p++;
        if (!isxdigit((unsigned char)p[0]) || !isxdigit((unsigned char)p[1]) || sscanf(p, "%2x", &v) != 1)
            return false;
        id.bytes[i] = (uint8_t)v;
        p += 2;
    }
    store_id_text(&id, back);
    if (strcmp(text, back) != 0)
        return false;
    *out = id;
    return true;
}

/* ---- the runs of a store, oldest first ---- */

static enum status run_names(struct store *s, struct store_names *out, struct err *e) {
    int rc = store_names_read(s, s->runs, out);
    if (rc < 0)
        return store_fail(s, e, rc, "list", "/runs");
    size_t n = 0;
    for (size_t i = 0; i < out->n; i++) {
        struct store_id id;
        if (store_id_parse(out->name[i], &id))
            out->name[n++] = out->name[i];
        else
            mem_free(out->name[i]);
    }
    out->n = n;
    return ST_OK;
}

/* Fills `out` even when little of the run can be read. False: not a run, or gone meanwhile. */
static bool describe(struct store *s, const struct store_id *id, struct store_run *out) {
    struct store_reader *r;
    struct err e = ERR_INIT;
    memset(out, 0, sizeof *out);
    enum status st = reader_open(s, id, true, &r, &e);
    if (st == ST_OK) {
        reader_summary(r, out);
        store_reader_close(r);
        return true;
    }
    out->id = *id;
    out->state = STORE_DAMAGED;
    snprintf(out->problem, sizeof out->problem, "%.255s", e.text);
    for (int i = 0; i < 6; i++)
        out->started_ns = out->started_ns << 8 | id->bytes[i];
    out->started_ns *= 1000000;
    return st != ST_NOT_FOUND;
}

enum status store_list(struct store *s, bool (*each)(void *, const struct store_run *), void *arg, struct err *e) {
    struct store_names names;
    enum status st = run_names(s, &names, e);
    if (st != ST_OK)
        return st;
    for (size_t i = 0; i < names.n; i++) {
        struct store_id id;
        struct store_run run;
        must(store_id_parse(names.name[i], &id));
        if (describe(s, &id, &run) && !each(arg, &run))
            break;
    }
    store_names_free(&names);
    return ST_OK;
}

/* Lower-case hex digits without the decoration; false when anything else is in it. */
static bool normalise(const char *what, char out[33]) {
    static const char ellipsis[] = "\xe2\x80\xa6";
    if (strncmp(what, ellipsis, 3) == 0 || strncmp(what, "...", 3) == 0)
        what += 3;
    size_t n = 0;
    for (; *what; what++) {
        if (*what == '-')
            continue;
        if (!isxdigit((unsigned char)*what) || n == 32)
            return false;
        out[n++] = (char)tolower((unsigned char)*what);
    }
    out[n] = 0;
    return n > 0;
}

static bool matches(const char *name, const char *what) {
    char digits[33];
    if (!normalise(name, digits))
        return false;
    size_t n = strlen(what);
    return strncmp(digits, what, n) == 0 || strcmp(digits + 32 - n, what) == 0;
}

static enum status pick(struct store *s, const struct store_names *names, const char *what, struct store_id *out,
                        struct err *e) {
    char digits[33];
    if (names->n == 0)
        return err_set(e, ST_NOT_FOUND, "no run in %s", s->path);
    if (strcmp(what, "last") == 0) {
        must(store_id_parse(names->name[names->n - 1], out));
        return ST_OK;
    }
    if (!normalise(what, digits))
        return err_set(e, ST_INVALID, "'%s' is not the id of a run: give its first or last digits, or 'last'", what);
    size_t found = 0, first = 0;
    char list[200] = "";
    for (size_t i = 0; i < names->n; i++) {
        if (!matches(names->name[i], digits))
            continue;
        size_t n = strlen(list);
        if (found++ == 0)
            first = i;
        if (found <= 4)
            snprintf(list + n, sizeof list - n, "%s%s", found > 1 ? ", " : "", names->name[i]);
    }
    if (found == 0)
        return err_set(e, ST_NOT_FOUND, "no run '%s' in %s", what, s->path);
    if (found > 1)
        return err_set(e, ST_AMBIGUOUS, "'%s' may be any of %zu runs: %s%s", what, found, list,
                       found > 4 ? ", ..." : "");
    must(store_id_parse(names->name[first], out));
    return ST_OK;
}

enum status store_find(struct store *s, const char *what, struct store_id *out, struct err *e) {
    struct store_names names;
    enum status st = run_names(s, &names, e);
    if (st != ST_OK)
        return st;
    st = pick(s, &names, what, out, e);
    store_names_free(&names);
    return st;
}

enum status store_remove(struct store *s, const struct store_id *id, struct err *e) {
    struct world *w = s->world;
    char text[STORE_ID_TEXT], short_id[STORE_ID_SHORT], tmp[33];
    store_id_text(id, text);
    store_id_short(id, short_id);
    int dir = store_open_dir(s, s->runs, text);
    if (dir < 0)
        return store_fail(s, e, dir, "open", "/runs/%s", text);
    int live = store_run_is_live(s, dir);
    w->ops->close(w, dir);
    if (live < 0)
        return store_fail(s, e, live, "look at", "/runs/%s/tail", text);
    if (live)
        return err_set(e, ST_BUSY, "run %s is still going; stop it first", short_id);
    int rc = store_random_name(s, tmp);
    if (rc == 0)
        rc = w->ops->rename(w, s->runs, text, s->tmp, tmp, 0); /* gone at once; what is left of it is cleared later */
    if (rc == 0)
        rc = store_remove_tree(s, s->tmp, tmp);
    return rc < 0 ? store_fail(s, e, rc, "remove", "/runs/%s", text) : ST_OK;
}
