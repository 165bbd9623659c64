/* Runs recorded into a real store, read back by every reader. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "stage.h"

#include "base/must.h"
#include "machine/machine.h"
#include "world/os/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
    struct world *world;
    struct store *store;
    char home[256];
};

static int set_up(void **state) {
    struct fixture *f = mem_zalloc(sizeof *f);
    struct err e = ERR_INIT;
    snprintf(f->home, sizeof f->home, "/tmp/aeon-machine-XXXXXX");
    must(mkdtemp(f->home));
    f->world = world_os_new();
    if (store_open(f->world, f->home, &f->store, &e))
        fail_msg("%s", e.text);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    char command[300];
    store_close(f->store);
    f->world->ops->free(f->world);
    snprintf(command, sizeof command, "rm -rf %s", f->home);
    must(system(command) == 0);
    mem_free(f);
    return 0;
}

struct recording {
    struct store_id id;
    enum guest_outcome outcome;
    uint64_t value, ticks;
};

/* Records a module of tests/guest. `until`: leaves it there without an end, as a killed process does. */
static void record(struct fixture *f, const char *name, const struct store_options *how, uint64_t until,
                   uint32_t semantics, struct recording *out) {
    struct stage s;
    struct module_file m;
    struct err e = ERR_INIT;
    const char *names[GUEST_NLIMITS];
    uint64_t values[GUEST_NLIMITS];
    struct guest_limits limits = guest_limits_default();
    struct store_info info = {
        .module_name = name,
        .aeon_version = "test",
        .semantics_version = semantics,
        .nlimits = GUEST_NLIMITS,
        .limit_names = names,
        .limit_values = values,
    };
    struct store_writer *w = NULL;
    guest_limits_list(&limits, names, values);
    stage_init(&s);
    module_open(&m, name);
    if (store_put(f->store, m.bytes, &info.module, &e) || store_run_new(f->store, &info, how, &w, &e))
        fail_msg("%s", e.text);
    out->id = info.id;
    struct edge_options o = stage_options(&s, EDGE_LIVE, NULL);
    o.mode = EDGE_RECORD;
    o.sink = edge_sink_to_store(w);
    struct guest *g = guest_open(&m, UINT64_MAX, &o);
    out->outcome = guest_run(g, until, &out->value, &e);
    if (out->outcome == GUEST_FAILED)
        fail_msg("%s", e.text);
    out->ticks = guest_clock(g);
    guest_free(g);
    if (store_run_close(w, &e))
        fail_msg("%s", e.text);
    module_close(&m);
    stage_deinit(&s);
}

static void record_plainly(struct fixture *f, const char *name, struct recording *out) {
    struct store_options how = {0};
    record(f, name, &how, UINT64_MAX, WASM_SEMANTICS_VERSION, out);
}

static struct store_reader *open_run(struct fixture *f, const struct store_id *id) {
    struct store_reader *r = NULL;
    struct err e = ERR_INIT;
    if (store_reader_open(f->store, id, &r, &e))
        fail_msg("%s", e.text);
    return r;
}

static void keep_output(void *ctx, enum machine_stream stream, struct span bytes) {
    struct buf *b = ctx;
    if (stream == MACHINE_STDOUT)
        buf_append(b, bytes.data, bytes.size);
}

static void replay(struct fixture *f, const struct store_id *id, struct machine_replay_result *out,
                   struct buf *output) {
    struct store_reader *r = open_run(f, id);
    struct err e = ERR_INIT;
    struct machine_replay_options how = {.output = keep_output, .output_ctx = output, .until_ticks = UINT64_MAX};
    buf_init(output, 1 << 20);
    if (machine_replay(f->store, r, &how, out, &e))
        fail_msg("%s", e.text);
    store_reader_close(r);
}

static void a_run_replays(void **state) {
    struct fixture *f = *state;
    struct recording run;
    struct machine_replay_result result;
    struct buf output;
    record_plainly(f, "hello", &run);
    replay(f, &run.id, &result, &output);
    assert_int_equal(result.outcome, GUEST_EXITED);
    assert_int_equal(result.value, 3);
    assert_true(result.ticks == run.ticks);
    assert_int_equal(result.records, 4);
    assert_string_equal(buf_cstr(&output), "hello, world\n");
    buf_deinit(&output);
}

static void a_cut_run_replays_to_its_last_call(void **state) {
    struct fixture *f = *state;
    struct recording run;
    struct machine_replay_result result;
    struct buf output;
    struct store_options how = {0};
    /* stopped in mid-computation, and closed without an END */
    record(f, "compute", &how, 150000, WASM_SEMANTICS_VERSION, &run);
    assert_int_equal(run.outcome, GUEST_STOPPED);
    replay(f, &run.id, &result, &output);
    assert_int_equal(result.outcome, GUEST_UNFINISHED);
    assert_true(result.ticks < 150000);
    /* random_get, and then one byte a call */
    assert_true(result.records >= 4);
    assert_int_equal(output.size, (result.records - 2) / 2);
    buf_deinit(&output);
}

/* ---- trace ------------------------------------------------------------------------------------------------------- */

static void lines(struct fixture *f, const struct store_id *id, const struct machine_trace_options *o,
                  struct buf *out) {
    struct store_reader *r = open_run(f, id);
    struct machine_trace *t = NULL;
    struct err e = ERR_INIT;
    struct span line;
    enum status s;
    buf_init(out, 1 << 20);
    if (machine_trace_new(r, o, &t, &e))
        fail_msg("%s", e.text);
    while (!(s = machine_trace_next(t, &line, &e))) {
        buf_append(out, line.data, line.size);
        buf_byte(out, '\n');
    }
    assert_int_equal(s, ST_END);
    machine_trace_free(t);
    store_reader_close(r);
}

static void a_trace_has_a_line_for_each_call(void **state) {
    struct fixture *f = *state;
    struct recording run;
    struct buf out;
    struct machine_trace_options o = {.width = 32, .count = UINT64_MAX};
    record_plainly(f, "hello", &run);
    lines(f, &run.id, &o, &out);
    assert_string_equal(buf_cstr(&out), "#0 0.000001 fd_write(fd=1, iovs=[13]\"hello, world\\n\") = 0 nwritten=13\n"
                                        "#2 0.000002 proc_exit(code=3)\n"
                                        "#3 0.000003 exited with 3\n");
    buf_deinit(&out);

    o.from = 1;
    o.count = 2;
    lines(f, &run.id, &o, &out);
    assert_string_equal(buf_cstr(&out), "#1 0.000001 fd_write = 0 nwritten=13\n"
                                        "#2 0.000002 proc_exit(code=3)\n");
    buf_deinit(&out);

    o = (struct machine_trace_options){.json = true, .count = UINT64_MAX};
    lines(f, &run.id, &o, &out);
    assert_string_equal(buf_cstr(&out),
                        "{\"record\":0,\"guest\":0,\"time_ns\":1000,\"clock\":5,\"call\":\"fd_write\",\"module\":"
                        "\"wasi_snapshot_preview1\","
                        "\"args\":{\"fd\":1,\"iovs\":\"hello, "
                        "world\\n\"},\"return\":1,\"duration_ns\":0,\"result\":0,\"out\":{\"nwritten\":13}}\n"
                        "{\"record\":2,\"guest\":0,\"time_ns\":2000,\"clock\":8,\"call\":\"proc_exit\",\"module\":"
                        "\"wasi_snapshot_preview1\","
                        "\"args\":{\"code\":3}}\n"
                        "{\"record\":3,\"guest\":0,\"time_ns\":3000,\"clock\":8,\"end\":\"exited\",\"value\":3}\n");
    buf_deinit(&out);
}

static void a_trace_decodes_every_shape(void **state) {
    struct fixture *f = *state;
    struct recording run;
    struct buf out;
    struct machine_trace_options o = {.width = 32, .count = UINT64_MAX};
    record_plainly(f, "shapes", &run);
    lines(f, &run.id, &o, &out);
    static const char *const expected[] = {
        "args_sizes_get() = 0 argc=2 size=20\n",
        "args_get() = 0 argv=[\"program\", \"an argument\"]\n",
        "clock_time_get(id=MONOTONIC, precision=1000) = 0 time=1311768467463790320\n",
        "random_get(buf=[33]) = 0 buf=[33]\"",
        "fd_fdstat_get(fd=1) = 0 stat={type=CHARACTER_DEVICE, flags=APPEND, "
        "rights_base=FD_FDSTAT_SET_FLAGS|FD_WRITE, rights_inheriting=0}\n",
        "path_open(fd=3, dirflags=SYMLINK_FOLLOW, path=\"data/file.txt\", oflags=CREAT|TRUNC, "
        "rights_base=FD_READ|FD_WRITE, rights_inheriting=",
        "fdflags=APPEND) = 0 opened_fd=7\n",
        "fd_read(fd=7, iovs=[3 iov]) = 0 iovs=[17]\"first, and second\" nread=17\n",
        "fd_write(fd=7, iovs=[105]\"first, and second",
        "fd_seek(fd=7, offset=-2, whence=END) = 0 newoffset=58\n",
        "fd_seek(fd=7, offset=7, whence=SET) = 0 newoffset=7\n",
        "fd_close(fd=7) = 0\n",
        "fd_close(fd=99) = EBADF (bad file descriptor)\n",
        "poll_oneoff(in=[{userdata=42, type=CLOCK, clock=MONOTONIC, timeout=1000, precision=0, flags=0}], "
        "nsubscriptions=1) = 0 out=[{userdata=42, error=0, type=CLOCK}] nevents=1\n",
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!strstr(buf_cstr(&out), expected[i]))
            fail_msg("no '%s' in\n%s", expected[i], buf_cstr(&out));
    buf_deinit(&out);
}

/* ---- logs -------------------------------------------------------------------------------------------------------- */

static void logs_come_from_the_journal(void **state) {
    struct fixture *f = *state;
    struct recording run;
    struct buf output;
    record_plainly(f, "hello", &run);
    buf_init(&output, 1 << 20);
    struct store_reader *r = open_run(f, &run.id);
    struct machine_streams *s = machine_streams_new(keep_output, &output);
    assert_int_equal(machine_logs(r, s, NULL), ST_END);
    assert_string_equal(buf_cstr(&output), "hello, world\n");
    machine_streams_free(s);
    store_reader_close(r);
    buf_deinit(&output);
}

/* ---- verification ------------------------------------------------------------------------------------------------ */

struct steps {
    char names[200];
    uint32_t n, failed;
    char found[600]; /* of the failed one */
};

static void step(void *ctx, const char *name, bool ok, const char *found) {
    struct steps *s = ctx;
    size_t at = strlen(s->names);
    snprintf(s->names + at, sizeof s->names - at, "%s ", name);
    s->n++;
    if (!ok) {
        s->failed++;
        snprintf(s->found, sizeof s->found, "%s", found);
    }
}

static enum status verify(struct fixture *f, const struct store_id *id, struct steps *s) {
    *s = (struct steps){0};
    return machine_verify(f->store, id, NULL, step, s, NULL);
}

static void a_good_run_verifies(void **state) {
    static const char *const names[] = {"hello", "shapes", "faults", "compute", "trap"};
    struct fixture *f = *state;
    struct steps s;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct recording run;
        record_plainly(f, names[i], &run);
        if (verify(f, &run.id, &s))
            fail_msg("%s: %s", names[i], s.found);
        assert_string_equal(s.names, "journal end module replay ");
        assert_int_equal(s.failed, 0);
    }
}

static void another_module_is_noticed(void **state) {
    struct fixture *f = *state;
    struct recording run;
    struct steps s;
    char path[600], hex[SHA256_HEX];
    record_plainly(f, "hello", &run);
    struct store_reader *r = open_run(f, &run.id);
    sha256_hex(&store_reader_info(r)->module, hex);
    store_reader_close(r);
    /* somebody put other bytes under its name */
    snprintf(path, sizeof path, "f=$(find %s/objects -name '*%s*'); chmod u+w $f; cp %s/spin.wasm $f", f->home, hex + 8,
             TEST_MODULES);
    if (system(path) != 0)
        fail_msg("%s", path);
    assert_int_equal(verify(f, &run.id, &s), ST_CORRUPT);
    assert_int_equal(s.failed, 1);
    assert_non_null(strstr(s.names, "module"));
}

static void other_semantics_are_refused(void **state) {
    struct fixture *f = *state;
    struct recording run;
    struct steps s;
    struct store_options how = {0};
    record(f, "hello", &how, UINT64_MAX, WASM_SEMANTICS_VERSION + 1, &run);
    assert_int_equal(verify(f, &run.id, &s), ST_VERSION);
    assert_non_null(strstr(s.found, "semantics"));
}

/* Records with a hand-made second half: what no guest would do. */
static void a_forged_journal_is_noticed(void **state) {
    struct fixture *f = *state;
    struct recording run;
    struct steps s;
    struct err e = ERR_INIT;
    record_plainly(f, "hello", &run);
    struct store_reader *r = open_run(f, &run.id);
    struct store_info info = *store_reader_info(r);
    struct store_options how = {0};
    for (int forged = 0; forged < 4; forged++) {
        struct store_writer *w;
        struct journal_record record;
        assert_int_equal(store_run_new(f->store, &info, &how, &w, &e), ST_OK);
        assert_int_equal(store_reader_seek(r, 0, &e), ST_OK);
        while (!store_reader_next(r, &record, &e)) {
            if (forged == 1 && record.type == JOURNAL_END)
                record.vals[1] = 0;
            if (forged == 2 && record.number == 0)
                record.vals[0] = 2;
            if (forged == 3 && record.type == JOURNAL_END)
                assert_int_equal(store_append(w,
                                              &(struct journal_record){.type = JOURNAL_CALL,
                                                                       .code = ABI_CODE_sched_yield,
                                                                       .time_ns = record.time_ns,
                                                                       .clock = record.clock},
                                              &e),
                                 ST_OK);
            assert_int_equal(store_append(w, &record, &e), ST_OK);
        }
        assert_int_equal(store_run_close(w, &e), ST_OK);
        assert_int_equal(verify(f, &info.id, &s), forged ? ST_MISMATCH : ST_OK);
        if (forged)
            assert_non_null(strstr(s.names, "replay"));
        if (forged == 1)
            assert_non_null(strstr(s.found, "exited with 0"));
    }
    store_reader_close(r);
}

/* ---- streams ----------------------------------------------------------------------------------------------------- */

struct tale {
    struct machine_streams *streams;
    struct buf out;
};

static void tell(void *ctx, enum machine_stream stream, struct span bytes) {
    struct buf *b = ctx;
    buf_print(b, "%d:%.*s ", stream, (int)bytes.size, (const char *)bytes.data);
}

static void call(struct tale *t, uint32_t code, uint32_t nvals, const uint64_t *vals, const char *bytes) {
    struct iovec piece = {(void *)bytes, bytes ? strlen(bytes) : 0};
    struct journal_record r = {.type = JOURNAL_CALL, .code = code, .nvals = nvals};
    memcpy(r.vals, vals, nvals * sizeof *vals);
    if (bytes)
        r.blobs[r.nblobs++] = (struct journal_blob){&piece, 1, piece.iov_len};
    machine_streams_feed(t->streams, &r);
}

static void ret(struct tale *t, uint32_t code, uint64_t result, int64_t out) {
    struct journal_record r = {.type = JOURNAL_RETURN, .code = code, .nvals = 1, .vals = {result}};
    if (out >= 0)
        r.vals[r.nvals++] = (uint64_t)out;
    machine_streams_feed(t->streams, &r);
}

static void write_to(struct tale *t, uint32_t fd, const char *bytes, uint32_t taken) {
    call(t, ABI_CODE_fd_write, 4, (uint64_t[]){fd, 100, 1, 200}, bytes);
    ret(t, ABI_CODE_fd_write, 0, taken);
}

static void streams_follow_descriptors(void **state) {
    struct tale t;
    (void)state;
    buf_init(&t.out, 1 << 16);
    t.streams = machine_streams_new(tell, &t.out);
    write_to(&t, 1, "one", 3);
    write_to(&t, 2, "two", 3);
    write_to(&t, 3, "to a file", 9);
    write_to(&t, 1, "partial", 4);
    call(&t, ABI_CODE_fd_write, 4, (uint64_t[]){1, 100, 1, 200}, "refused");
    ret(&t, ABI_CODE_fd_write, WASI_EIO, -1);
    /* 1 becomes 5 */
    call(&t, ABI_CODE_fd_renumber, 2, (uint64_t[]){1, 5}, NULL);
    ret(&t, ABI_CODE_fd_renumber, 0, -1);
    write_to(&t, 1, "nowhere", 7);
    write_to(&t, 5, "moved", 5);
    /* a failed close changes nothing; a new file gets number 1 */
    call(&t, ABI_CODE_fd_close, 1, (uint64_t[]){2}, NULL);
    ret(&t, ABI_CODE_fd_close, WASI_EBADF, -1);
    write_to(&t, 2, "still", 5);
    call(&t, ABI_CODE_fd_close, 1, (uint64_t[]){2}, NULL);
    ret(&t, ABI_CODE_fd_close, 0, -1);
    write_to(&t, 2, "closed", 6);
    call(&t, ABI_CODE_path_open, 9, (uint64_t[]){3, 0, 0, 4, 0, 0, 0, 0, 0}, "file");
    ret(&t, ABI_CODE_path_open, 0, 5);
    write_to(&t, 5, "a file now", 10);
    assert_string_equal(buf_cstr(&t.out), "1:one 2:two 1:part 1:moved 2:still ");
    machine_streams_free(t.streams);
    buf_deinit(&t.out);
}

/* A process killed while it wrote: the bytes may be out. A guest ended while its write waited: they are not. */
static void a_write_that_did_not_come_back(void **state) {
    struct tale t;
    (void)state;
    buf_init(&t.out, 1 << 16);
    t.streams = machine_streams_new(tell, &t.out);
    call(&t, ABI_CODE_fd_write, 4, (uint64_t[]){1, 100, 1, 200}, "perhaps");
    assert_int_equal(t.out.size, 0);
    machine_streams_flush(t.streams);
    machine_streams_flush(t.streams);
    assert_string_equal(buf_cstr(&t.out), "1:perhaps ");
    call(&t, ABI_CODE_fd_write, 4, (uint64_t[]){1, 100, 1, 200}, "waiting");
    machine_streams_feed(t.streams, &(struct journal_record){.type = JOURNAL_END, .nvals = 2});
    machine_streams_flush(t.streams);
    assert_string_equal(buf_cstr(&t.out), "1:perhaps ");
    machine_streams_free(t.streams);
    buf_deinit(&t.out);
}

/* ---- snapshots and retention ------------------------------------------------------------------------------------- */

static void a_replay_stops_and_goes_on_elsewhere(void **state) {
    struct fixture *f = *state;
    struct recording run;
    struct machine_replay_result whole, half, rest;
    struct buf output, first, second, frozen;
    struct err e = ERR_INIT;
    struct machine_replay *m;
    record_plainly(f, "compute", &run);
    replay(f, &run.id, &whole, &output);
    buf_init(&first, 1 << 20);
    buf_init(&second, 1 << 20);
    buf_init(&frozen, 64 << 20);
    struct store_reader *r = open_run(f, &run.id);
    struct machine_replay_options how = {.output = keep_output, .output_ctx = &first, .until_ticks = UINT64_MAX};
    assert_int_equal(machine_replay_new(f->store, r, &how, &m, &e), ST_OK);
    for (uint64_t tick = 7; tick < whole.ticks / 2; tick += whole.ticks / 9) {
        assert_int_equal(machine_replay_run(m, tick, &half, &e), ST_OK);
        assert_int_equal(half.outcome, GUEST_STOPPED);
        assert_true(half.ticks == tick);
    }
    assert_int_equal(guest_snapshot_save(machine_replay_guest(m), &frozen, &e), ST_OK);
    machine_replay_free(m);
    how.output_ctx = &second;
    how.snapshot = buf_span(&frozen);
    if (machine_replay(f->store, r, &how, &rest, &e))
        fail_msg("%s", e.text);
    assert_int_equal(rest.outcome, whole.outcome);
    assert_true(rest.ticks == whole.ticks && rest.records == whole.records);
    buf_append(&first, second.data, second.size);
    assert_true(first.size > 0 && second.size > 0);
    assert_string_equal(buf_cstr(&first), buf_cstr(&output));
    store_reader_close(r);
    buf_deinit(&first);
    buf_deinit(&second);
    buf_deinit(&frozen);
    buf_deinit(&output);
}

/* A run that keeps its end only: the first segment kept opens with a snapshot, and the readers begin there. */
static void the_kept_end_of_a_run_stands_alone(void **state) {
    struct fixture *f = *state;
    struct recording run;
    struct machine_replay_result result;
    struct buf output, trace;
    struct steps s;
    struct store_options how = {.segment_bytes = 100 << 10, .keep_bytes = 300 << 10};
    record(f, "chatter", &how, UINT64_MAX, WASM_SEMANTICS_VERSION, &run);
    struct store_reader *r = open_run(f, &run.id);
    uint64_t first = store_reader_first(r);
    assert_true(first > 0);
    assert_true(store_reader_nsegments(r) > 1);
    assert_true(store_reader_segment(r, 0).has_snapshot);
    store_reader_close(r);

    replay(f, &run.id, &result, &output);
    assert_int_equal(result.outcome, GUEST_EXITED);
    assert_true(result.ticks == run.ticks);
    assert_true(output.size > 0 && output.size < 20000 * 64);
    if (verify(f, &run.id, &s))
        fail_msg("%s", s.found);
    struct machine_trace_options o = {.width = 8, .count = 3};
    lines(f, &run.id, &o, &trace);
    assert_non_null(strstr(buf_cstr(&trace), "snapshot of "));
    assert_non_null(strstr(buf_cstr(&trace), " = 0 "));
    buf_deinit(&output);
    buf_deinit(&trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_replays),
        cmocka_unit_test(a_cut_run_replays_to_its_last_call),
        cmocka_unit_test(a_trace_has_a_line_for_each_call),
        cmocka_unit_test(a_trace_decodes_every_shape),
        cmocka_unit_test(logs_come_from_the_journal),
        cmocka_unit_test(a_good_run_verifies),
        cmocka_unit_test(another_module_is_noticed),
        cmocka_unit_test(other_semantics_are_refused),
        cmocka_unit_test(a_forged_journal_is_noticed),
        cmocka_unit_test(streams_follow_descriptors),
        cmocka_unit_test(a_write_that_did_not_come_back),
        cmocka_unit_test(a_replay_stops_and_goes_on_elsewhere),
        cmocka_unit_test(the_kept_end_of_a_run_stands_alone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
