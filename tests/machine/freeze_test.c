/* freeze SNAPSHOTS: a real program is recorded while it computes; then its replay is frozen at random ticks, each state
 * is written to a file, and another process brings it back and finishes.  Both halves together must print what the
 * whole printed, and replay, being strict, makes sure that the rest of the journal is the same.
 *
 * As a helper it is called with the words `thaw HOME RUN FILE`. */
#include "base/must.h"
#include "base/prng.h"
#include "machine/machine.h"
#include "node/node.h"
#include "world/os/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, OUTPUT_MAX = 1 << 20 };
#define SNAPSHOT_MAX ((size_t)512 << 20)

static const char script[] = "import json, hashlib\n"
                             "h = hashlib.sha256()\n"
                             "d = {}\n"
                             "for i in range(120):\n"
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

/* ---- the other process ------------------------------------------------------------------------------------------- */

static int thaw(const char *home, const char *id, const char *file) {
    struct err e = ERR_INIT;
    struct store *s;
    struct machine_replay_result result;
    struct buf output;
    uint8_t *state = mem_alloc(SNAPSHOT_MAX);
    FILE *f = fopen(file, "rb");
    must(f);
    struct span snapshot = SPAN(state, fread(state, 1, SNAPSHOT_MAX, f));
    fclose(f);
    buf_init(&output, OUTPUT_MAX);
    if (store_open(world_os_new(), home, &s, &e))
        die(home, &e);
    struct store_reader *r = open_run(s, id);
    struct machine_replay_options how = {
        .output = keep,
        .output_ctx = &output,
        .until_ticks = UINT64_MAX,
        .snapshot = snapshot,
    };
    if (machine_replay(s, r, &how, &result, &e))
        die("thawed", &e);
    fwrite(output.data, 1, output.size, stdout);
    printf("%d %llu %llu %llu\n", (int)result.outcome, (unsigned long long)result.value,
           (unsigned long long)result.records, (unsigned long long)result.ticks);
    return 0;
}

/* ---- this one ---------------------------------------------------------------------------------------------------- */

static void record(struct node *n, const char *module, char id[STORE_ID_TEXT]) {
    struct err e = ERR_INIT;
    const char *args[] = {"python", "-c", script};
    struct node_result result;
    const struct node_guest guest = {.module = module, .args = {args, 3}, .limits = guest_limits_default()};
    const struct node_run run = {.guests = &guest, .nguests = 1, .record = true};
    bool cannot_run;
    struct store_id found;
    fflush(stdout);
    if (node_run(n, &run, &result, &cannot_run, &e) || store_find(node_store(n), "last", &found, &e))
        die(module, &e);
    must(result.outcome == GUEST_EXITED && result.value == 0);
    store_id_text(&found, id);
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
static void thaw_elsewhere(const char *self, const char *home, const char *id, const char *file, struct buf *out) {
    char command[2048];
    snprintf(command, sizeof command, "%s thaw %s %s %s", self, home, id, file);
    FILE *p = popen(command, "r");
    must(p && buf_reserve(out, OUTPUT_MAX / 2));
    out->size += fread(out->data + out->size, 1, OUTPUT_MAX / 2, p);
    must(pclose(p) == 0);
}

static int freeze(const char *self, uint32_t count) {
    struct err e = ERR_INIT;
    struct node *n;
    char id[STORE_ID_TEXT], file[1024], python[1024];
    const char *guests = getenv("AEON_GUESTS");
    snprintf(python, sizeof python, "%s/python.wasm", guests ? guests : ".");
    if (access(python, R_OK)) {
        printf("skipped: %s is not there\n", python);
        return SKIPPED;
    }
    if (node_open(true, &n, &e))
        die("node", &e);
    record(n, python, id);
    snprintf(file, sizeof file, "%s/frozen", node_home(n));
    struct store *s = node_store(n);
    struct store_reader *r = open_run(s, id);

    struct machine_replay_result whole, here;
    struct buf expected, first, both, frozen;
    buf_init(&expected, OUTPUT_MAX);
    buf_init(&first, OUTPUT_MAX);
    buf_init(&both, OUTPUT_MAX);
    buf_init(&frozen, SNAPSHOT_MAX);
    struct machine_replay_options how = {.output = keep, .output_ctx = &expected, .until_ticks = UINT64_MAX};
    if (machine_replay(s, r, &how, &whole, &e))
        die("replay", &e);
    buf_print(&expected, "%d %llu %llu %llu\n", (int)whole.outcome, (unsigned long long)whole.value,
              (unsigned long long)whole.records, (unsigned long long)whole.ticks);

    struct prng prng = {4};
    uint64_t *ticks = mem_alloc(count * sizeof *ticks);
    for (uint32_t i = 0; i < count; i++)
        ticks[i] = prng_below(&prng, whole.ticks);
    qsort(ticks, count, sizeof *ticks, by_size);

    struct machine_replay *m = NULL;
    how.output_ctx = &first;
    if (machine_replay_new(s, r, &how, &m, &e))
        die("replay", &e);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (machine_replay_run(m, ticks[i], &here, &e))
            die("replay", &e);
        must(here.outcome == GUEST_STOPPED && here.ticks == ticks[i]);
        buf_clear(&frozen);
        if (guest_snapshot_save(machine_replay_guest(m), &frozen, &e))
            die("freeze", &e);
        bytes += frozen.size;
        write_file(file, &frozen);
        buf_clear(&both);
        buf_append(&both, first.data, first.size);
        thaw_elsewhere(self, node_home(n), id, file, &both);
        if (!span_equal(buf_span(&both), buf_span(&expected))) {
            printf("frozen at tick %llu, thawed elsewhere:\n%s\nthe whole:\n%s\n", (unsigned long long)ticks[i],
                   buf_cstr(&both), buf_cstr(&expected));
            return 1;
        }
    }
    printf("%u states of %llu KiB, frozen between tick %llu and %llu of %llu, thawed in other processes: same output, "
           "same %llu records\n",
           count, (unsigned long long)(bytes / count >> 10), (unsigned long long)ticks[0],
           (unsigned long long)ticks[count - 1], (unsigned long long)whole.ticks, (unsigned long long)whole.records);
    unlink(file);
    machine_replay_free(m);
    store_reader_close(r);
    node_close(n);
    buf_deinit(&expected);
    buf_deinit(&first);
    buf_deinit(&both);
    buf_deinit(&frozen);
    mem_free(ticks);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 5 && strcmp(argv[1], "thaw") == 0)
        return thaw(argv[2], argv[3], argv[4]);
    return freeze(argv[0], argc > 1 ? (uint32_t)atoi(argv[1]) : 100);
}
