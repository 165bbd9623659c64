/* freeze SNAPSHOTS [compiled [SECONDS]]: a real program is recorded while it computes; then its replay is frozen at
 * random ticks, each state is written to a file, and another process brings it back and finishes.  Both halves together
 * must print what the whole printed, and replay, being strict, makes sure that the rest of the journal is the same.
 *
 * With `compiled` what is hot is compiled first, for so many seconds at most; what is frozen then runs compiled, its
 * state is byte for byte the one of the interpreter at that tick, and it is brought back on both tiers.
 *
 * As a helper it is called with the words `thaw HOME RUN FILE TIER`. */
#include "base/must.h"
#include "base/prng.h"
#include "machine/machine.h"
#include "node/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, OUTPUT_MAX = 1 << 20 };
#define SNAPSHOT_MAX ((size_t)512 << 20)

static const char script[] = "import json, hashlib, sys\n"
                             "h = hashlib.sha256()\n"
                             "d = {}\n"
                             "for i in range(int(sys.argv[1])):\n"
                             "    d[str(i * 7919 % 1009)] = [i, i / 7, 'x' * (i % 13)]\n"
                             "    h.update(repr(sorted(d.items())[:5]).encode())\n"
                             "    if i % 20 == 0:\n"
                             "        print(i, len(d), h.hexdigest(), flush=True)\n"
                             "print(hash(json.dumps(d)))\n";

static void keep(void *ctx, enum machine_stream stream, struct span bytes) {
    (void)stream;
    buf_append(ctx, bytes.data, bytes.size);
}

static _Noreturn void die(const char *what, const struct err *e) {
    fprintf(stderr, "%s: %s\n", what, e->text);
    exit(1);
}

static struct store_reader *open_run(struct store *s, const char *id) {
    struct err e = ERR_INIT;
    struct store_id run;
    struct store_reader *r = NULL;
    if (store_find(s, id, &run, &e) || store_reader_open(s, &run, &r, &e))
        die(id, &e);
    return r;
}

/* The compiler lies beside aeon. NULL: interpreted. */
static struct tier *new_tier(struct node *n, const char *tier) {
    const struct tier_options o = {.mode = TIER_AUTO};
    return strcmp(tier, "interp") == 0 ? NULL : node_tier_new(n, &o);
}

/* ---- the other process ------------------------------------------------------------------------------------------- */

static int thaw(const char *home, const char *id, const char *file, const char *tier) {
    struct err e = ERR_INIT;
    struct node *n;
    struct machine_replay_result result;
    struct buf output;
    uint8_t *state = mem_alloc(SNAPSHOT_MAX);
    FILE *f = fopen(file, "rb");
    must(f);
    struct span snapshot = SPAN(state, fread(state, 1, SNAPSHOT_MAX, f));
    fclose(f);
    buf_init(&output, OUTPUT_MAX);
    setenv("AEON_HOME", home, 1);
    if (node_open(true, &n, &e))
        die(home, &e);
    struct store_reader *r = open_run(node_store(n), id);
    struct machine_replay_options how = {
        .output = keep,
        .output_ctx = &output,
        .until_ticks = UINT64_MAX,
        .snapshot = snapshot,
        .tier = new_tier(n, tier),
    };
    if (machine_replay(node_store(n), r, &how, &result, &e))
        die("thawed", &e);
    fwrite(output.data, 1, output.size, stdout);
    printf("%d %llu %llu %llu\n", (int)result.outcome, (unsigned long long)result.value,
           (unsigned long long)result.records, (unsigned long long)result.ticks);
    tier_free(how.tier);
    store_reader_close(r);
    node_close(n);
    buf_deinit(&output);
    mem_free(state);
    return 0;
}

/* ---- this one ---------------------------------------------------------------------------------------------------- */

/* It ends by itself, or after so many ms; 0: by itself. */
static void record(struct node *n, const char *module, enum tier_mode tier, const char *rounds, uint64_t time_ms,
                   char id[STORE_ID_TEXT]) {
    struct err e = ERR_INIT;
    const char *args[] = {"python", "-c", script, rounds};
    struct node_result result;
    struct node_guest guest = {.module = module, .args = {args, 4}, .limits = guest_limits_default()};
    guest.limits.time_ms = time_ms;
    const struct node_run run = {.guests = &guest, .nguests = 1, .record = true, .tier = tier};
    bool cannot_run;
    struct store_id found;
    fflush(stdout);
    if (node_run(n, &run, &result, &cannot_run, &e) || store_find(node_store(n), "last", &found, &e))
        die(module, &e);
    must(time_ms ? result.outcome == GUEST_TIMED_OUT : result.outcome == GUEST_EXITED && result.value == 0);
    store_id_text(&found, id);
}

/* First for so many seconds, that what is hot is in the cache; then what is frozen. False: nothing is compiled. */
static bool record_compiled(struct node *n, const char *module, uint64_t seconds, char id[STORE_ID_TEXT]) {
    struct err e = ERR_INIT;
    struct tier_report r;
    struct store_id found;
    if (seconds)
        record(n, module, TIER_AUTO, "1000000000", 1000 * seconds, id);
    record(n, module, TIER_AUTO, "240", 0, id);
    must(store_find(node_store(n), id, &found, &e) == ST_OK && node_read_tier(n, &found, &r));
    printf("%u functions from the cache, %u compiled, %u entries into loops\n", r.cached, r.compiled, r.loops);
    return r.cached + r.compiled > 0;
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void write_file(const char *path, const struct buf *b) {
    FILE *f = fopen(path, "wb");
    must(f && fwrite(b->data, 1, b->size, f) == b->size && fclose(f) == 0);
}

/* What the other process printed: the rest of the output, and how it ended. */
static void thaw_elsewhere(const char *self, const char *home, const char *id, const char *file, const char *tier,
                           struct buf *out) {
    char command[4096];
    snprintf(command, sizeof command, "%s thaw %s %s %s %s", self, home, id, file, tier);
    FILE *p = popen(command, "r");
    must(p && buf_reserve(out, OUTPUT_MAX / 2));
    out->size += fread(out->data + out->size, 1, OUTPUT_MAX / 2, p);
    must(pclose(p) == 0);
}

struct bench {
    const char *self, *home, *id, *file;
    struct buf expected; /* the whole output, and how it ended */
};

static bool thaws(struct bench *b, const struct buf *first, uint64_t ticks, const char *tier) {
    struct buf both;
    buf_init(&both, OUTPUT_MAX);
    buf_append(&both, first->data, first->size);
    thaw_elsewhere(b->self, b->home, b->id, b->file, tier, &both);
    bool ok = span_equal(buf_span(&both), buf_span(&b->expected));
    if (!ok)
        printf("frozen at tick %llu, thawed elsewhere (%s):\n%s\nthe whole:\n%s\n", (unsigned long long)ticks, tier,
               buf_cstr(&both), buf_cstr(&b->expected));
    buf_deinit(&both);
    return ok;
}

static void freeze_at(struct machine_replay *m, uint64_t ticks, struct buf *frozen) {
    struct err e = ERR_INIT;
    struct machine_replay_result here;
    if (machine_replay_run(m, ticks, &here, &e))
        die("replay", &e);
    must(here.outcome == GUEST_STOPPED && here.ticks == ticks);
    buf_clear(frozen);
    if (guest_snapshot_save(machine_replay_guest(m), frozen, &e))
        die("freeze", &e);
}

static struct machine_replay *start(struct node *n, struct store_reader *r, struct tier *tier, struct buf *output) {
    struct err e = ERR_INIT;
    struct machine_replay *m;
    const struct machine_replay_options how = {
        .output = keep, .output_ctx = output, .until_ticks = UINT64_MAX, .tier = tier};
    if (machine_replay_new(node_store(n), r, &how, &m, &e))
        die("replay", &e);
    return m;
}

/* The states at these ticks, in order. */
static bool freeze_all(struct node *n, struct bench *b, const uint64_t *ticks, uint32_t count, bool compiled) {
    struct buf first, unused, frozen, plain;
    buf_init(&first, OUTPUT_MAX);
    buf_init(&unused, OUTPUT_MAX);
    buf_init(&frozen, SNAPSHOT_MAX);
    buf_init(&plain, SNAPSHOT_MAX);
    struct tier *tier = new_tier(n, compiled ? "compiled" : "interp");
    struct store_reader *r = open_run(node_store(n), b->id), *second = open_run(node_store(n), b->id);
    struct machine_replay *m = start(n, r, tier, &first);
    struct machine_replay *interpreted = compiled ? start(n, second, NULL, &unused) : NULL;
    bool ok = true;
    for (uint32_t i = 0; i < count && ok; i++) {
        freeze_at(m, ticks[i], &frozen);
        if (interpreted) {
            freeze_at(interpreted, ticks[i], &plain);
            ok = span_equal(buf_span(&plain), buf_span(&frozen));
            if (!ok)
                printf("at tick %llu the state is not the interpreter's\n", (unsigned long long)ticks[i]);
        }
        write_file(b->file, &frozen);
        ok = ok && thaws(b, &first, ticks[i], "interp") && (!compiled || thaws(b, &first, ticks[i], "compiled"));
    }
    unlink(b->file);
    machine_replay_free(m);
    if (interpreted)
        machine_replay_free(interpreted);
    store_reader_close(r);
    store_reader_close(second);
    tier_free(tier);
    buf_deinit(&first);
    buf_deinit(&unused);
    buf_deinit(&frozen);
    buf_deinit(&plain);
    return ok;
}

static bool freeze(struct node *n, struct bench *b, uint32_t count, bool compiled) {
    struct err e = ERR_INIT;
    struct machine_replay_result whole;
    struct store_reader *r = open_run(node_store(n), b->id);
    buf_init(&b->expected, OUTPUT_MAX);
    const struct machine_replay_options how = {.output = keep, .output_ctx = &b->expected, .until_ticks = UINT64_MAX};
    if (machine_replay(node_store(n), r, &how, &whole, &e))
        die("replay", &e);
    store_reader_close(r);
    buf_print(&b->expected, "%d %llu %llu %llu\n", (int)whole.outcome, (unsigned long long)whole.value,
              (unsigned long long)whole.records, (unsigned long long)whole.ticks);

    struct prng prng = {4};
    uint64_t *ticks = mem_alloc(count * sizeof *ticks);
    for (uint32_t i = 0; i < count; i++)
        ticks[i] = prng_below(&prng, whole.ticks);
    qsort(ticks, count, sizeof *ticks, by_size);
    bool ok = freeze_all(n, b, ticks, count, compiled);
    if (ok)
        printf("%u states, frozen between tick %llu and %llu of %llu, thawed in other processes%s: same output, same "
               "%llu records\n",
               count, (unsigned long long)ticks[0], (unsigned long long)ticks[count - 1],
               (unsigned long long)whole.ticks, compiled ? ", interpreted and compiled" : "",
               (unsigned long long)whole.records);
    buf_deinit(&b->expected);
    mem_free(ticks);
    return ok;
}

int main(int argc, char **argv) {
    struct err e = ERR_INIT;
    struct node *n;
    char id[STORE_ID_TEXT], file[1024], python[1024], compiler[1024];
    const char *guests = getenv("AEON_GUESTS"), *aeon = getenv("AEON");
    bool compiled = argc > 2 && strcmp(argv[2], "compiled") == 0;
    snprintf(compiler, sizeof compiler, "%s-llvm", aeon ? aeon : "");
    if (!getenv("AEON_LLVM"))
        setenv("AEON_LLVM", compiler, 1);
    if (argc == 6 && strcmp(argv[1], "thaw") == 0)
        return thaw(argv[2], argv[3], argv[4], argv[5]);
    snprintf(python, sizeof python, "%s/python.wasm", guests ? guests : ".");
    if (access(python, R_OK) || (compiled && access(getenv("AEON_LLVM"), X_OK))) {
        printf("skipped: %s or %s is not there\n", python, getenv("AEON_LLVM"));
        return SKIPPED;
    }
    if (node_open(true, &n, &e))
        die("node", &e);
    if (!compiled)
        record(n, python, TIER_INTERP, "120", 0, id);
    else if (!record_compiled(n, python, argc > 3 ? (uint64_t)atoi(argv[3]) : 10, id))
        return 1;
    snprintf(file, sizeof file, "%s/frozen", node_home(n));
    struct bench b = {argv[0], node_home(n), id, file, {0}};
    bool ok = freeze(n, &b, argc > 1 ? (uint32_t)atoi(argv[1]) : 100, compiled);
    node_close(n);
    return ok ? 0 : 1;
}
