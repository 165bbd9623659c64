// The operator table made into arrays: one by operator, one per prefix by code.

#include "wasm/opcodes.h"

const struct wasm_op_info wasm_op_infos[OP_COUNT] = {
#define X(name, text, prefix, code, imm, sig, align) [OP_##name] = {text, #sig, prefix, code, IMM_##imm, align},
    WASM_OPCODES(X)
#undef X
};

// The macro named by the row's own prefix decides whether the row belongs to the array being written.
#define ROW(name, code) [code] = OP_COUNT - OP_##name,
#define NO_ROW(name, code)

const uint16_t wasm_op_codes_00[256] = {
#define IF_0x00                                      ROW
#define IF_0xfc                                      NO_ROW
#define IF_0xfd                                      NO_ROW
#define X(name, text, prefix, code, imm, sig, align) IF_##prefix(name, code)
    WASM_OPCODES(X)
#undef IF_0x00
#undef IF_0xfc
#undef IF_0xfd
};

const uint16_t wasm_op_codes_fc[32] = {
#define IF_0x00 NO_ROW
#define IF_0xfc ROW
#define IF_0xfd NO_ROW
    WASM_OPCODES(X)
#undef IF_0x00
#undef IF_0xfc
#undef IF_0xfd
};

const uint16_t wasm_op_codes_fd[256] = {
#define IF_0x00 NO_ROW
#define IF_0xfc NO_ROW
#define IF_0xfd ROW
    WASM_OPCODES(X)
#undef X
};
