/* calls.h: the functions of WASI, one per row of the tables. Each answers 0, a WASI_E..., or ABI_PARK, ABI_EXIT(code).
 */
#ifndef AEON_WASI_CALLS_H
#define AEON_WASI_CALLS_H

#include "abi/abi.h"

struct wasi;

#define CALL(name, result, effect, doc, params) int64_t wasi_##name(struct wasi *w, struct abi_##name *a);
ABI_WASI_PREVIEW1(CALL)
#undef CALL
#define CALL(name, result, effect, doc, params) \
    int64_t wasi_unstable_##name(struct wasi *w, struct abi_unstable_##name *a);
ABI_WASI_UNSTABLE(CALL)
#undef CALL
#define CALL(name, result, effect, doc, params) int64_t wasi_##name(struct wasi *w, struct abi_##name *a);
ABI_WASI_SOCKETS(CALL)
#undef CALL
#define CALL(name, result, effect, doc, params) int64_t wasi_v1_##name(struct wasi *w, struct abi_v1_##name *a);
ABI_WASI_SOCKETS_V1(CALL)
#undef CALL

#endif
