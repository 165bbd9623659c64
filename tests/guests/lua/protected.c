// The two ends of an unwinding. Both call the pass's own functions, which is how it knows to leave them alone.
#include <stdint.h>

#include "protected.h"

__attribute__((import_module("asyncify"), import_name("start_unwind"))) void asyncify_start_unwind(void *buffer);
__attribute__((import_module("asyncify"), import_name("stop_unwind"))) void asyncify_stop_unwind(void);

static int unwinding;

// Where unwound frames leave what nobody will read. Deep recursion needs a lot: Lua allows 200 C levels.
static struct {
    char *at;
    char *end;
    char frames[1 << 20];
} buffer;

__asm__(".globaltype __stack_pointer, i32\n");

// C's own stack pointer is not among the locals the pass restores: the protecting frame puts it back.
static inline void *stack_pointer(void) {
    void *sp;
    __asm__ volatile("global.get __stack_pointer\n local.set %0" : "=r"(sp));
    return sp;
}

static inline void set_stack_pointer(void *sp) {
    __asm__ volatile("local.get %0\n global.set __stack_pointer" : : "r"(sp) : "memory");
}

__attribute__((noinline)) void protected_run(void (*function)(struct lua_State *, void *), struct lua_State *L,
                                             void *data) {
    void *sp = stack_pointer();
    function(L, data);
    if (unwinding) {
        unwinding = 0;
        asyncify_stop_unwind();
        set_stack_pointer(sp);
    }
}

__attribute__((noinline)) void protected_throw(void) {
    buffer.at = buffer.frames;
    buffer.end = buffer.frames + sizeof buffer.frames;
    unwinding = 1;
    asyncify_start_unwind(&buffer);
}
