// One test script: modules, actions and assertions in order, in a store of its own.

#include "spec.h"

#include "base/must.h"
#include "base/prng.h"

#include "base/must.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_INSTANCES = 2000, MAX_VALUES = 64 };

struct named {
    const char *name; /* "$m" of a script or the name it is registered under; NULL when it has none */
    struct wasm_instance *instance;
};

struct script {
    const char *name;
    char dir[1024];
    struct tally *tally;
    json_int_t line;

    struct wasm_store *store;
    struct wasm_exec *exec;
    struct wasm_instance *last;
    struct named named[MAX_INSTANCES], registered[MAX_INSTANCES];
    unsigned nnamed, nregistered;

    /* Whatever instances were made of lives as long as the store. */
    struct wasm_module *modules[MAX_INSTANCES];
    uint8_t *bytes[MAX_INSTANCES];
    unsigned nmodules, nbytes;
};

static void fail(struct script *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct script *s, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char text[2048];
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fprintf(stderr, "%s:%lld: %s\n", s->name, (long long)s->line, text);
    s->tally->failures++;
}

static const char *text_of(const json_t *j, const char *key) {
    const char *text = json_string_value(json_object_get(j, key));
    return text ? text : "";
}

// ---- the module "spectest", which scripts import from

static enum wasm_host print_nothing(void *env, struct wasm_exec *x, uint64_t *slots) {
    (void)env, (void)x, (void)slots;
    return WASM_HOST_OK;
}

static bool spectest_func(struct wasm_store *s, struct span name, struct wasm_extern *out) {
    static const struct {
        const char *name;
        uint8_t params[2];
        uint8_t nparams;
    } funcs[] = {
        {"print", {0}, 0},
        {"print_i32", {WASM_I32}, 1},
        {"print_i64", {WASM_I64}, 1},
        {"print_f32", {WASM_F32}, 1},
        {"print_f64", {WASM_F64}, 1},
        {"print_i32_f32", {WASM_I32, WASM_F32}, 2},
        {"print_f64_f64", {WASM_F64, WASM_F64}, 2},
    };
    for (size_t i = 0; i < sizeof funcs / sizeof *funcs; i++)
        if (span_equal(name, SPAN_STR(funcs[i].name))) {
            uint32_t n = funcs[i].nparams;
            struct wasm_functype type = {n, 0, n, 0, funcs[i].params, funcs[i].params + n};
            out->kind = WASM_KIND_FUNC;
            out->func = wasm_func_new(s, &type, print_nothing, NULL, funcs[i].name);
            return true;
        }
    return false;
}

static struct wasm_global *constant(struct wasm_store *s, enum wasm_type type) {
    union wasm_value v = {.slot = {0, 0}};
    switch (type) {
    case WASM_F32: v.f32 = 666.6f; break;
    case WASM_F64: v.f64 = 666.6; break;
    default: v.i64 = 666; break;
    }
    return wasm_global_new(s, (struct wasm_globaltype){type, false}, v);
}

/* Everything "spectest" exports but functions, made once per script. */
struct spectest {
    struct wasm_extern externs[6];
};

static const char *const spectest_names[6] = {"global_i32", "global_i64", "global_f32",
                                              "global_f64", "table",      "memory"};

static struct spectest spectest_new(struct wasm_store *s) {
    static const enum wasm_type types[4] = {WASM_I32, WASM_I64, WASM_F32, WASM_F64};
    struct spectest t;
    for (int i = 0; i < 4; i++)
        t.externs[i] = (struct wasm_extern){.kind = WASM_KIND_GLOBAL, .global = constant(s, types[i])};
    t.externs[4].kind = WASM_KIND_TABLE;
    t.externs[5].kind = WASM_KIND_MEMORY;
    struct err e = ERR_INIT;
    must(wasm_table_new(s, WASM_FUNCREF, (struct wasm_limits){10, 20, true}, 0, &t.externs[4].table, &e) == ST_OK);
    must(wasm_memory_new(s, (struct wasm_limits){1, 2, true}, &t.externs[5].memory, &e) == ST_OK);
    return t;
}

static bool spectest_find(struct script *s, const struct spectest *t, struct span name, struct wasm_extern *out) {
    for (int i = 0; i < 6; i++)
        if (span_equal(name, SPAN_STR(spectest_names[i]))) {
            *out = t->externs[i];
            return true;
        }
    return spectest_func(s->store, name, out);
}

// ---- modules and instances

static struct span read_file(struct script *s, const char *file) {
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", s->dir, file);
    FILE *f = fopen(path, "rb");
    if (!f) {
        fail(s, "cannot open %s", path);
        return SPAN(NULL, 0);
    }
    must(s->nbytes < MAX_INSTANCES);
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = s->bytes[s->nbytes++] = malloc(size ? size : 1); // exactly sized: a sanitizer sees overreads
    must(data && fread(data, 1, size, f) == size);
    fclose(f);
    return SPAN(data, size);
}

static enum status load(struct script *s, const json_t *cmd, struct wasm_module **out, struct err *e) {
    enum status st = wasm_module_new(read_file(s, text_of(cmd, "filename")), out, e);
    if (st == ST_OK) {
        must(s->nmodules < MAX_INSTANCES);
        s->modules[s->nmodules++] = *out;
    }
    return st;
}

// Exports are looked up by span: the names of the test scripts hold NULs.
static bool export_of(struct wasm_instance *i, struct span name, struct wasm_extern *out) {
    const struct wasm_module *m = wasm_instance_module(i);
    for (uint32_t n = 0; n < wasm_module_nexports(m); n++) {
        struct wasm_export x = wasm_module_export(m, n);
        if (!span_equal(x.name, name))
            continue;
        if (x.type.kind == WASM_KIND_FUNC) {
            *out = (struct wasm_extern){.kind = WASM_KIND_FUNC, .func = wasm_instance_func(i, x.index)};
            return true;
        }
        char *text = strndup((const char *)name.data, name.size);
        bool found = wasm_instance_export(i, text, out);
        free(text);
        return found;
    }
    return false;
}

static struct wasm_instance *find(const struct named *list, unsigned n, struct span name) {
    while (n-- > 0)
        if (list[n].name && span_equal(name, SPAN_STR(list[n].name)))
            return list[n].instance;
    return NULL;
}

static enum status resolve(struct script *s, const struct spectest *t, const struct wasm_module *m,
                           struct wasm_extern *externs, struct err *e) {
    for (uint32_t i = 0; i < wasm_module_nimports(m); i++) {
        struct wasm_import imp = wasm_module_import(m, i);
        struct wasm_instance *from = find(s->registered, s->nregistered, imp.module);
        bool found = from                                           ? export_of(from, imp.name, &externs[i])
                     : span_equal(imp.module, SPAN_STR("spectest")) ? spectest_find(s, t, imp.name, &externs[i])
                                                                    : false;
        if (!found)
            return err_set(e, ST_UNLINKABLE, "unknown import %.*s", (int)imp.name.size, (const char *)imp.name.data);
    }
    return ST_OK;
}

bool stepped;
static struct prng steps;

static enum wasm_outcome call(struct script *s, struct wasm_func *f, const union wasm_value *args) {
    wasm_reset(s->exec);
    wasm_call(s->exec, f, args);
    if (!stepped)
        return wasm_run(s->exec, (uint64_t)WASM_FOREVER);
    for (;;) { // now every tick, now from one translation to the other and back
        uint64_t until = wasm_clock(s->exec) + 1 + prng_below(&steps, 1u << prng_below(&steps, 14));
        enum wasm_outcome o = wasm_run(s->exec, until);
        if (o != WASM_STOPPED)
            return o;
        must(wasm_clock(s->exec) == until);
    }
}

// Instantiates, start function included. A trap is ST_TRAPPED, and then `*out` may be NULL.
static enum status instantiate(struct script *s, const struct spectest *t, const struct wasm_module *m,
                               struct wasm_instance **out, struct err *e) {
    struct wasm_extern *externs = calloc(wasm_module_nimports(m) + 1, sizeof *externs);
    enum status st = resolve(s, t, m, externs, e);
    if (st == ST_OK)
        st = wasm_instance_new(s->store, m, externs, wasm_module_nimports(m), out, e);
    free(externs);
    if (st == ST_OK)
        spec_compile(s->store, m);
    struct wasm_func *start = st == ST_OK ? wasm_instance_start(*out) : NULL;
    if (start && call(s, start, NULL) != WASM_DONE)
        st = err_set(e, ST_TRAPPED, "%s", wasm_exec_trap_text(s->exec));
    return st;
}

static void define_module(struct script *s, const struct spectest *t, const json_t *cmd) {
    struct wasm_module *m;
    struct err e = ERR_INIT;
    s->last = NULL;
    enum status st = load(s, cmd, &m, &e);
    if (st == ST_OK)
        st = instantiate(s, t, m, &s->last, &e);
    s->tally->modules++;
    if (st != ST_OK) {
        fail(s, "module %s: %s", text_of(cmd, "filename"), e.text);
        s->last = NULL;
    } else if (json_object_get(cmd, "name")) {
        must(s->nnamed < MAX_INSTANCES);
        s->named[s->nnamed++] = (struct named){text_of(cmd, "name"), s->last};
    }
}

static struct wasm_instance *instance_named(struct script *s, const json_t *j, const char *key) {
    const char *name = json_string_value(json_object_get(j, key));
    struct wasm_instance *i = name ? find(s->named, s->nnamed, SPAN_STR(name)) : s->last;
    if (!i)
        fail(s, "no module %s", name ? name : "to use");
    return i;
}

static void register_module(struct script *s, const json_t *cmd) {
    struct wasm_instance *i = instance_named(s, cmd, "name");
    must(s->nregistered < MAX_INSTANCES);
    if (i)
        s->registered[s->nregistered++] = (struct named){text_of(cmd, "as"), i};
}

// ---- actions

struct outcome {
    bool performed; /* false: could not even be tried, and a failure has been noted */
    enum wasm_outcome how;
    uint32_t n;
    enum wasm_type types[MAX_VALUES];
    union wasm_value values[MAX_VALUES];
};

static struct outcome get_global(struct script *s, struct wasm_extern x) {
    struct outcome o = {.how = WASM_DONE};
    if (x.kind != WASM_KIND_GLOBAL) {
        fail(s, "not a global");
        return o;
    }
    o.performed = true;
    o.n = 1;
    o.types[0] = wasm_extern_type(x).global.type;
    o.values[0] = wasm_global_get(x.global);
    return o;
}

static struct outcome invoke(struct script *s, struct wasm_extern x, const json_t *args) {
    struct outcome o = {.how = WASM_DONE};
    if (x.kind != WASM_KIND_FUNC) {
        fail(s, "not a function");
        return o;
    }
    const struct wasm_functype *type = wasm_func_type(x.func);
    union wasm_value in[MAX_VALUES];
    if (json_array_size(args) != type->nparams || type->nparams > MAX_VALUES || type->nresults > MAX_VALUES) {
        fail(s, "%zu arguments for %u parameters", json_array_size(args), type->nparams);
        return o;
    }
    for (uint32_t i = 0; i < type->nparams; i++) {
        enum wasm_type t;
        if (!value_from_json(json_array_get(args, i), &t, &in[i]) || t != type->params[i]) {
            fail(s, "argument %u is not what the function takes", i);
            return o;
        }
    }
    o.performed = true;
    o.how = call(s, x.func, in);
    o.n = type->nresults;
    for (uint32_t i = 0; i < o.n; i++)
        o.types[i] = (enum wasm_type)type->results[i];
    if (o.how == WASM_DONE)
        wasm_results(s->exec, o.values);
    return o;
}

static struct outcome act(struct script *s, const json_t *cmd) {
    struct outcome none = {.performed = false};
    const json_t *action = json_object_get(cmd, "action"), *field = json_object_get(action, "field");
    struct wasm_instance *i = instance_named(s, action, "module");
    if (!i)
        return none;
    struct wasm_extern x;
    if (!export_of(i, SPAN(json_string_value(field), json_string_length(field)), &x)) {
        fail(s, "no export %s", text_of(action, "field"));
        return none;
    }
    return strcmp(text_of(action, "type"), "get") == 0 ? get_global(s, x)
                                                       : invoke(s, x, json_object_get(action, "args"));
}

// ---- assertions

static void assert_return(struct script *s, const json_t *cmd) {
    struct outcome o = act(s, cmd);
    if (!o.performed)
        return;
    if (o.how != WASM_DONE) {
        fail(s, "%s did not return: %s", text_of(json_object_get(cmd, "action"), "field"),
             wasm_exec_trap_text(s->exec));
        return;
    }
    const json_t *expected = json_object_get(cmd, "expected");
    if (json_array_size(expected) != o.n) {
        fail(s, "%u results, %zu expected", o.n, json_array_size(expected));
        return;
    }
    for (uint32_t i = 0; i < o.n; i++) {
        const json_t *want = json_array_get(expected, i);
        if (value_matches(want, o.types[i], &o.values[i]))
            continue;
        char got[64], *wanted = json_dumps(want, JSON_COMPACT);
        value_print(got, sizeof got, o.types[i], &o.values[i]);
        fail(s, "%s: result %u is %s, expected %s", text_of(json_object_get(cmd, "action"), "field"), i, got, wanted);
        free(wanted);
        return;
    }
}

// Scripts give a beginning of the text, but sometimes add a number of their own.
static bool same_text(const char *got, const char *want) {
    size_t a = strlen(got), b = strlen(want);
    return a > 0 && b > 0 && memcmp(got, want, a < b ? a : b) == 0;
}

static void assert_trap(struct script *s, const json_t *cmd) {
    struct outcome o = act(s, cmd);
    if (!o.performed)
        return;
    const char *want = text_of(cmd, "text");
    if (o.how != WASM_TRAPPED)
        fail(s, "no trap, expected: %s", want);
    else if (!same_text(wasm_trap_text(wasm_trap(s->exec)), want))
        fail(s, "trap: %s, expected: %s", wasm_trap_text(wasm_trap(s->exec)), want);
}

// The module must be refused for the right reason, not merely refused.
static void assert_refused(struct script *s, const json_t *cmd, enum status want) {
    struct wasm_module *m;
    struct err e = ERR_INIT;
    enum status st = load(s, cmd, &m, &e);
    if (st == ST_OK)
        fail(s, "%s was accepted, expected: %s", text_of(cmd, "filename"), text_of(cmd, "text"));
    else if (st != want)
        fail(s, "%s is %s (%s), expected %s: %s", text_of(cmd, "filename"), status_text(st), e.text, status_text(want),
             text_of(cmd, "text"));
}

static void assert_not_instantiated(struct script *s, const struct spectest *t, const json_t *cmd, enum status want) {
    struct wasm_module *m;
    struct wasm_instance *i;
    struct err e = ERR_INIT;
    enum status st = load(s, cmd, &m, &e);
    if (st == ST_OK)
        st = instantiate(s, t, m, &i, &e);
    if (st != want)
        fail(s, "%s: %s (%s), expected %s: %s", text_of(cmd, "filename"), status_text(st), e.text, status_text(want),
             text_of(cmd, "text"));
    else if (want == ST_TRAPPED && !strstr(e.text, text_of(cmd, "text")))
        fail(s, "%s: trap: %s, expected: %s", text_of(cmd, "filename"), e.text, text_of(cmd, "text"));
}

static void run_command(struct script *s, const struct spectest *t, const json_t *cmd) {
    const char *type = text_of(cmd, "type");
    s->line = json_integer_value(json_object_get(cmd, "line"));
    if (strcmp(type, "module") == 0) {
        define_module(s, t, cmd);
        return;
    }
    if (strcmp(type, "register") == 0) {
        register_module(s, cmd);
        return;
    }
    if (strcmp(type, "action") == 0) {
        struct outcome o = act(s, cmd);
        if (o.performed && o.how != WASM_DONE)
            fail(s, "action did not return: %s", wasm_exec_trap_text(s->exec));
        return;
    }
    if (strcmp(text_of(cmd, "module_type"), "text") == 0) {
        s->tally->text++;
        return;
    }
    s->tally->assertions++;
    if (strcmp(type, "assert_return") == 0)
        assert_return(s, cmd);
    else if (strcmp(type, "assert_trap") == 0 || strcmp(type, "assert_exhaustion") == 0)
        assert_trap(s, cmd);
    else if (strcmp(type, "assert_malformed") == 0)
        assert_refused(s, cmd, ST_MALFORMED);
    else if (strcmp(type, "assert_invalid") == 0)
        assert_refused(s, cmd, ST_INVALID);
    else if (strcmp(type, "assert_unlinkable") == 0)
        assert_not_instantiated(s, t, cmd, ST_UNLINKABLE);
    else if (strcmp(type, "assert_uninstantiable") == 0)
        assert_not_instantiated(s, t, cmd, ST_TRAPPED);
    else
        fail(s, "unknown command %s", type);
}

void run_script(const char *name, const char *path, struct tally *tally) {
    struct script *s = calloc(1, sizeof *s);
    s->name = name;
    s->tally = tally;
    snprintf(s->dir, sizeof s->dir, "%s", path);
    *strrchr(s->dir, '/') = 0;
    json_error_t error;
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!root) {
        fail(s, "%s: %s", path, error.text);
        free(s);
        return;
    }
    struct wasm_config config = wasm_config_default();
    s->store = wasm_store_new(&config);
    s->exec = wasm_exec_new(s->store);
    struct spectest t = spectest_new(s->store);
    size_t i;
    json_t *cmd;
    json_array_foreach(json_object_get(root, "commands"), i, cmd) run_command(s, &t, cmd);
    wasm_exec_free(s->exec);
    wasm_store_free(s->store);
    for (unsigned k = 0; k < s->nmodules; k++)
        wasm_module_free(s->modules[k]);
    for (unsigned k = 0; k < s->nbytes; k++)
        free(s->bytes[k]);
    json_decref(root);
    free(s);
}
