/* The compiling worker: its protocol, and that it is shut in. Most of it with a fake compiler, which does what a
 * compiler must never do (deeds.h); what a real one does goes through the same filter at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "deeds.h"
#include "wasm/llvm_protocol.h"
#include "wasm/native.h"
#include "wasm/object.h"
#include "wasm/wasm.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* A module of DEED_COUNT functions: (func (param i32) (result i32) (loop (br_if 0 (local.get 0))) (local.get 0)). */
static struct buf module_bytes;

enum { BODY = 13 };

static void make_module(void) {
    static const uint8_t head[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f};
    static const uint8_t body[BODY] = {BODY - 1, 0, 0x03, 0x40, 0x20, 0, 0x0d, 0, 0x0b, 0x20, 0, 0x01, 0x0b};
    buf_init(&module_bytes, 1 << 16);
    buf_append(&module_bytes, head, sizeof head);
    buf_byte(&module_bytes, 3);
    buf_varint(&module_bytes, DEED_COUNT + 1);
    buf_varint(&module_bytes, DEED_COUNT);
    for (int i = 0; i < DEED_COUNT; i++)
        buf_byte(&module_bytes, 0);
    buf_byte(&module_bytes, 10);
    uint8_t size[VARINT_MAX];
    uint32_t n = BODY * DEED_COUNT + 1;
    buf_append(&module_bytes, size, (size_t)(put_varint(size, n) - size));
    buf_varint(&module_bytes, DEED_COUNT);
    for (int i = 0; i < DEED_COUNT; i++)
        buf_append(&module_bytes, body, BODY);
}

static uint32_t loop_offset(uint32_t func) {
    return (uint32_t)module_bytes.size - (DEED_COUNT - func) * BODY + 2;
}

struct child {
    pid_t pid;
    int to, from;
};

static void start(struct child *c, const char *program, const char *memory_mib, bool with_module) {
    int in[2], out[2];
    assert_int_equal(pipe(in) | pipe(out), 0);
    int module = memfd_create("module", 0);
    assert_true(module >= 0);
    assert_int_equal(write(module, module_bytes.data, module_bytes.size), module_bytes.size);
    c->pid = fork();
    assert_true(c->pid >= 0);
    if (c->pid == 0) {
        char fd[16];
        snprintf(fd, sizeof fd, "%d", module);
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[0]), close(in[1]), close(out[0]), close(out[1]);
        if (with_module)
            execl(program, program, "--worker", "--module-fd", fd, "--memory", memory_mib, NULL);
        else
            execl(program, program, "--worker", NULL);
        _exit(99);
    }
    close(module), close(in[0]), close(out[1]);
    c->to = in[1];
    c->from = out[0];
}

/* How it ended: a signal's number negated, or its status. */
static int finish(struct child *c) {
    int status;
    close(c->to);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    close(c->from);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* The next message; false when there is none because the worker is gone. */
static bool hear(struct child *c, struct llvm_head *head, struct buf *body) {
    uint8_t chunk[65536];
    size_t got = 0;
    buf_init(body, LLVM_MESSAGE_MAX);
    while (got < sizeof *head) {
        ssize_t n = read(c->from, (char *)head + got, sizeof *head - got);
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    while (body->size < head->size) {
        size_t want = head->size - body->size;
        ssize_t n = read(c->from, chunk, want < sizeof chunk ? want : sizeof chunk);
        if (n <= 0)
            return false;
        buf_append(body, chunk, (size_t)n);
    }
    return true;
}

static struct llvm_hello hear_hello(struct child *c) {
    struct llvm_head head;
    struct llvm_hello h;
    struct buf body;
    assert_true(hear(c, &head, &body));
    assert_int_equal(head.type, LLVM_HELLO);
    assert_true(body.size >= sizeof h);
    memcpy(&h, body.data, sizeof h);
    assert_int_equal(body.size, sizeof h + h.version_size + h.target_size);
    assert_int_equal(h.protocol, LLVM_PROTOCOL_VERSION);
    assert_int_equal(h.abi, NATIVE_ABI_VERSION);
    assert_int_equal(h.semantics, WASM_SEMANTICS_VERSION);
    assert_int_equal(h.object, OBJECT_VERSION);
    assert_true(h.version_size > 0 && h.target_size > 0);
    buf_deinit(&body);
    return h;
}

static void ask_words(struct child *c, struct llvm_compile_head h, const uint32_t *words, uint32_t nwords) {
    struct llvm_head head = {.type = LLVM_COMPILE, .size = (uint32_t)sizeof h + nwords * 4};
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_append(&b, &head, sizeof head);
    buf_append(&b, &h, sizeof h);
    buf_append(&b, words, nwords * 4ul);
    assert_int_equal(write(c->to, b.data, b.size), b.size);
    buf_deinit(&b);
}

static void ask(struct child *c, uint32_t id, uint32_t func, uint32_t cpu_ms) {
    ask_words(c, (struct llvm_compile_head){.id = id, .cpu_ms = cpu_ms, .count = 1, .effort = 1, .nfuncs = 1}, &func,
              1);
}

/* Reads an answer; what is behind it is in `rest`. */
static struct llvm_answer hear_answer(struct child *c, enum llvm_message type, struct buf *rest) {
    struct llvm_head head;
    struct llvm_answer a;
    struct buf body;
    assert_true(hear(c, &head, &body));
    assert_int_equal(head.type, type);
    assert_true(body.size >= sizeof a);
    memcpy(&a, body.data, sizeof a);
    buf_init(rest, body.size);
    buf_append(rest, body.data + sizeof a, body.size - sizeof a);
    buf_deinit(&body);
    return a;
}

static void check_object(const struct buf *bytes, uint32_t nentries, uint32_t func) {
    struct object o;
    struct err e = ERR_INIT;
    struct sha256 hash;
    if (object_open(buf_span(bytes), &o, &e) != ST_OK)
        fail_msg("%s", e.text);
    sha256_of(buf_span(&module_bytes), &hash);
    assert_memory_equal(&hash, &o.module, sizeof hash);
    assert_int_equal(o.nentries, nentries);
    assert_int_equal(object_entry(&o, 0).func, func);
}

static void test_requests(void **state) {
    (void)state;
    struct child c;
    struct buf rest;
    struct sha256 hash;
    start(&c, TEST_FAKE, "256", true);
    struct llvm_hello h = hear_hello(&c);
    sha256_of(buf_span(&module_bytes), &hash);
    assert_int_equal(h.has_module, 1);
    assert_memory_equal(&h.module, &hash, sizeof hash);
    assert_true(h.guards & LLVM_GUARD_SYSCALLS);
    assert_int_equal((h.guards & LLVM_GUARD_MEMORY) != 0, !SANITIZED);
    for (uint32_t id = 1; id < 20; id++) {
        bool refuse = id % 3 == 0;
        ask(&c, id, refuse ? DEED_REFUSE : DEED_COMPILE, 5000);
        struct llvm_answer a = hear_answer(&c, refuse ? LLVM_FAILED : LLVM_OBJECT, &rest);
        assert_int_equal(a.id, id);
        assert_int_equal(a.status, refuse ? ST_LIMIT : ST_OK);
        assert_true(a.peak_bytes > 0);
        if (refuse)
            assert_memory_equal(rest.data, "function 1 is too beautiful", 27);
        else
            check_object(&rest, 1, DEED_COMPILE);
        buf_deinit(&rest);
    }
    assert_int_equal(finish(&c), 0);
}

static void test_wrong_requests(void **state) {
    (void)state;
    enum { ALL = DEED_COUNT };
    uint32_t loop = loop_offset(0);
    const struct {
        struct llvm_compile_head h;
        uint32_t words[6], nwords;
    } cases[] = {
        {{.effort = 1}, {0}, 0},                                             /* nothing to do */
        {{.effort = 1, .nfuncs = 1}, {0}, 0},                                /* short */
        {{.effort = 1, .nfuncs = 1}, {0, 0}, 2},                             /* long */
        {{.effort = 1, .nfuncs = UINT32_MAX}, {0}, 1},                       /* */
        {{.effort = 0, .nfuncs = 1}, {0}, 1},                                /* no such effort */
        {{.effort = 3, .nfuncs = 1}, {0}, 1},                                /* */
        {{.effort = 1, .nfuncs = 1}, {ALL}, 1},                              /* no such function */
        {{.effort = 1, .nfuncs = 2}, {0, 0}, 2},                             /* twice */
        {{.effort = 1, .nfuncs = 2}, {2, 0}, 2},                             /* descending */
        {{.effort = 1, .nfuncs = 1, .nloops = 1}, {0, 2, loop}, 3},          /* a loop of another function */
        {{.effort = 1, .nfuncs = 1, .nloops = 1}, {0, 0, 0}, 3},             /* outside of the function */
        {{.effort = 1, .nfuncs = 1, .nloops = 2}, {0, 0, loop, 0, loop}, 5}, /* twice */
    };
    struct child c;
    struct buf rest;
    start(&c, TEST_FAKE, "256", true);
    hear_hello(&c);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct llvm_compile_head h = cases[i].h;
        h.id = (uint32_t)i + 1;
        ask_words(&c, h, cases[i].words, cases[i].nwords);
        struct llvm_answer a = hear_answer(&c, LLVM_FAILED, &rest);
        assert_int_equal(a.id, i + 1);
        assert_int_equal(a.status, ST_INVALID);
        assert_true(rest.size > 0);
        buf_deinit(&rest);
    }
    /* and goes on with a right one */
    ask_words(&c, (struct llvm_compile_head){.id = 77, .effort = 2, .nfuncs = 1, .nloops = 1},
              (const uint32_t[]){0, 0, loop}, 3);
    hear_answer(&c, LLVM_OBJECT, &rest);
    buf_deinit(&rest);
    assert_int_equal(finish(&c), 0);
}

static void test_no_requests(void **state) {
    (void)state;
    struct child c;
    struct buf rest;
    /* rubbish */
    start(&c, TEST_FAKE, "256", true);
    hear_hello(&c);
    assert_int_equal(write(c.to, "GET / HTTP/1.1\r\n", 16), 16);
    assert_int_equal(finish(&c), 2);
    /* cut */
    start(&c, TEST_FAKE, "256", true);
    hear_hello(&c);
    assert_int_equal(write(c.to, (const uint32_t[]){LLVM_COMPILE, 1000}, 8), 8);
    assert_int_equal(finish(&c), 0);
    /* without a module */
    start(&c, TEST_FAKE, "0", false);
    assert_int_equal(hear_hello(&c).has_module, 0);
    ask(&c, 5, 0, 0);
    assert_int_equal(hear_answer(&c, LLVM_FAILED, &rest).status, ST_INVALID);
    buf_deinit(&rest);
    assert_int_equal(finish(&c), 0);
    /* with one that is none */
    module_bytes.data[0] ^= 1;
    start(&c, TEST_FAKE, "256", true);
    module_bytes.data[0] ^= 1;
    struct llvm_head head;
    assert_false(hear(&c, &head, &rest));
    buf_deinit(&rest);
    assert_int_equal(finish(&c), 2);
}

/* Does that deed; how the worker ended. */
static int end_of(enum deed d, uint32_t cpu_ms) {
    struct child c;
    struct llvm_head head;
    struct buf body;
    start(&c, TEST_FAKE, "64", true);
    hear_hello(&c);
    ask(&c, 1, d, cpu_ms);
    bool answered = hear(&c, &head, &body);
    buf_deinit(&body);
    int end = finish(&c);
    return answered ? end * 1000 + 1000 : end;
}

static void test_forbidden(void **state) {
    (void)state;
    for (int d = DEED_OPEN; d <= DEED_PTRACE; d++) {
        int end = end_of((enum deed)d, 0);
        if (end != -SIGSYS)
            fail_msg("deed %d: %d", d, end);
    }
}

static void test_limits(void **state) {
    (void)state;
    assert_int_equal(end_of(DEED_ABORT, 0), -SIGABRT);
    assert_int_equal(end_of(DEED_SPIN, 50), -SIGPROF);
    if (!SANITIZED)
        assert_int_equal(end_of(DEED_EAT, 0), -SIGABRT);
}

/* What is allowed: answered, and ended with status 0. */
static void test_allowed(void **state) {
    (void)state;
    assert_int_equal(end_of(DEED_SORT, 0), 1000);
    if (!SANITIZED)
        assert_int_equal(end_of(DEED_RECURSE, 0), 1000);
}

/* Nobody is left when the one who started it dies. */
static void test_orphan(void **state) {
    (void)state;
    int life[2];
    char byte;
    assert_int_equal(pipe(life), 0);
    pid_t parent = fork();
    if (parent == 0) {
        struct child c;
        start(&c, TEST_FAKE, "256", true); /* inherits the writing end of `life` */
        hear_hello(&c);
        ask(&c, 1, DEED_SPIN, 0);
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_true(WIFSIGNALED(status));
    close(life[1]);
    assert_int_equal(read(life[0], &byte, 1), 0); /* closed by the end of the last who had it */
    close(life[0]);
}

#ifdef TEST_WORKER
static void test_llvm(void **state) {
    (void)state;
    struct child c;
    struct buf rest;
    start(&c, TEST_WORKER, "512", true);
    struct llvm_hello h = hear_hello(&c);
    assert_true(h.guards & LLVM_GUARD_SYSCALLS);
    uint32_t words[DEED_COUNT + 2];
    for (uint32_t i = 0; i < DEED_COUNT; i++)
        words[i] = i;
    words[DEED_COUNT] = 3;
    words[DEED_COUNT + 1] = loop_offset(3);
    for (uint8_t effort = 1; effort <= 2; effort++) {
        struct llvm_compile_head r = {.id = 9, .count = 1, .effort = effort, .nfuncs = DEED_COUNT, .nloops = 1};
        ask_words(&c, r, words, DEED_COUNT + 2);
        assert_true(hear_answer(&c, LLVM_OBJECT, &rest).cpu_us > 0);
        check_object(&rest, DEED_COUNT + 1, 0);
        buf_deinit(&rest);
    }
    assert_int_equal(finish(&c), 0);
}
#endif

int main(void) {
    make_module();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),  cmocka_unit_test(test_wrong_requests), cmocka_unit_test(test_no_requests),
        cmocka_unit_test(test_forbidden), cmocka_unit_test(test_limits),         cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_orphan),
#ifdef TEST_WORKER
        cmocka_unit_test(test_llvm),
#endif
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_deinit(&module_bytes);
    return failed;
}
