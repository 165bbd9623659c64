/* stub.c: a compiler that speaks the protocol (wasm/llvm_protocol.h) and otherwise does as AEON_STUB says:
 *
 *     good       answers objects whose functions return at once
 *     hang, die, exit, rubbish, foreign, wrong-id, partial, babble, refuse     at a request
 *     mute, dead, early, old, strange                                          at the start
 *     poison=N   good, but dies when it is to compile function N
 *
 * With AEON_STUB_LOG every request is noted there: a line of function numbers. */
#include "base/must.h"
#include "wasm/llvm_protocol.h"
#include "wasm/native.h"
#include "wasm/object.h"
#include "wasm/wasm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* mov rax, rdx; ret: the fuel is what it was. Behind it the same once more, as the body. */
static const uint8_t code[] = {0x48, 0x89, 0xd0, 0xc3, 0x48, 0x89, 0xd0, 0xc3};

static const char *how;

static bool is(const char *what) {
    return strcmp(how, what) == 0;
}

static bool read_all(void *p, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t r = read(0, (char *)p + at, n - at);
        if (r <= 0)
            return false;
        at += (size_t)r;
    }
    return true;
}

static void say(uint32_t type, struct span a, struct span b, struct span c) {
    struct buf out;
    buf_init(&out, 1 << 26);
    buf_u32(&out, type);
    buf_u32(&out, (uint32_t)(a.size + b.size + c.size));
    buf_append(&out, a.data, a.size);
    buf_append(&out, b.data, b.size);
    buf_append(&out, c.data, c.size);
    for (size_t at = 0; at < out.size;) {
        ssize_t n = write(1, out.data + at, out.size - at);
        if (n <= 0)
            exit(1);
        at += (size_t)n;
    }
    buf_deinit(&out);
}

static _Noreturn void hang(void) {
    for (;;)
        pause();
}

static _Noreturn void die(void) {
    fprintf(stderr, "LLVM ERROR: out of ideas\n");
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void greet(struct sha256 *module) {
    struct llvm_hello hello = {
        .protocol = LLVM_PROTOCOL_VERSION,
        .abi = NATIVE_ABI_VERSION,
        .semantics = WASM_SEMANTICS_VERSION,
        .object = OBJECT_VERSION,
    };
    struct span version = SPAN_STR("1.2.3-stub"), target = SPAN_STR("nowhere +nothing");
    struct stat st;
    if (is("mute"))
        hang();
    if (is("dead"))
        exit(3);
    if (is("early"))
        say(LLVM_OBJECT, SPAN_STR("x"), SPAN_STR(""), SPAN_STR(""));
    hello.abi += is("old");
    if (fstat(3, &st) == 0 && st.st_size) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, 3, 0);
        must(p != MAP_FAILED);
        sha256_of(SPAN(p, (size_t)st.st_size), module);
        hello.has_module = 1;
        hello.module = *module;
        hello.module.bytes[0] ^= is("strange");
    }
    hello.version_size = (uint32_t)version.size;
    hello.target_size = (uint32_t)target.size;
    say(LLVM_HELLO, SPAN(&hello, sizeof hello), version, target);
}

static void note(const uint32_t *funcs, uint32_t n) {
    const char *path = getenv("AEON_STUB_LOG");
    FILE *f = path ? fopen(path, "a") : NULL;
    if (!f)
        return;
    for (uint32_t i = 0; i < n; i++)
        fprintf(f, "%u%c", funcs[i], i + 1 == n ? '\n' : ' ');
    fclose(f);
}

static void answer(const struct llvm_compile_head *head, const uint32_t *funcs, struct sha256 module) {
    struct llvm_answer a = {.id = head->id + is("wrong-id"), .cpu_us = 1000, .peak_bytes = 1 << 20};
    struct object_entry *entries = mem_zalloc((head->nfuncs + 1ul) * sizeof *entries);
    struct buf object;
    struct err e = ERR_INIT;
    uint32_t n = is("partial") ? 1 : head->nfuncs;
    for (uint32_t i = 0; i < n; i++)
        entries[i] = (struct object_entry){funcs[i], 0, 0, 4};
    module.bytes[0] ^= is("foreign");
    buf_init(&object, 1 << 20);
    must(!object_write(&module, 0, entries, n, SPAN(code, sizeof code), &object, &e));
    if (is("rubbish"))
        object.data[object.size / 2] ^= 1;
    if (is("refuse")) {
        a.status = ST_LIMIT;
        say(LLVM_FAILED, SPAN(&a, sizeof a), SPAN_STR("it is too beautiful"), SPAN_STR(""));
    } else {
        say(LLVM_OBJECT, SPAN(&a, sizeof a), buf_span(&object), SPAN_STR(""));
    }
    if (is("babble"))
        say(LLVM_OBJECT, SPAN(&a, sizeof a), buf_span(&object), SPAN_STR(""));
    buf_deinit(&object);
    mem_free(entries);
}

static void obey(const uint8_t *p, uint32_t size, const struct sha256 *module) {
    struct llvm_compile_head head;
    must(size >= sizeof head);
    memcpy(&head, p, sizeof head);
    must(size == sizeof head + 4ul * head.nfuncs + 8ul * head.nloops);
    uint32_t *funcs = mem_alloc(4ul * head.nfuncs);
    memcpy(funcs, p + sizeof head, 4ul * head.nfuncs);
    note(funcs, head.nfuncs);
    if (is("hang"))
        hang();
    if (is("exit"))
        exit(0);
    if (is("die"))
        die();
    for (uint32_t i = 0; strncmp(how, "poison=", 7) == 0 && i < head.nfuncs; i++)
        if (funcs[i] == (uint32_t)atoi(how + 7))
            die();
    answer(&head, funcs, *module);
    mem_free(funcs);
}

int main(void) {
    struct sha256 module = {{0}};
    struct llvm_head head;
    how = getenv("AEON_STUB");
    if (!how)
        how = "good";
    greet(&module);
    while (read_all(&head, sizeof head)) {
        uint8_t *p = mem_alloc(head.size + 1ul);
        if (!read_all(p, head.size) || head.type != LLVM_COMPILE)
            return 1;
        obey(p, head.size, &module);
        mem_free(p);
    }
    return 0;
}
