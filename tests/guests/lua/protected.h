// Errors of Lua without setjmp: WebAssembly 2.0 has no way to leave several frames at once, so binaryen's Asyncify pass
// gives every function one. Throwing starts an unwinding; each instrumented function then returns at once; the frame
// that protects stops it. What the pass saved for coming back is dropped, since an error never does.
// Included before everything else (-include), so that Lua's own macros give way.
#ifndef PROTECTED_H
#define PROTECTED_H

struct lua_State;
struct lua_longjmp;

// Runs function(L, data). An error thrown below ends it and leaves the status the thrower set in its own frame.
void protected_run(void (*function)(struct lua_State *, void *), struct lua_State *L, void *data);
void protected_throw(void);

#define luai_jmpbuf       int
#define LUAI_THROW(L, c)  protected_throw()
#define LUAI_TRY(L, c, a) protected_run(f, L, ud)

#endif
