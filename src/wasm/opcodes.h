/* opcodes.h: every operator, once.
 *
 * The table below is WebAssembly 2.0 with tail calls, in the order of the binary format.  Decoder, validator,
 * translator, interpreter, disassembler and tests are generated from it or look into it.  A new operator is one row; a
 * new proposal's group goes at the end of its prefix.
 *
 *   X(NAME, text, prefix, code, IMM, SIG, ALIGN)
 *
 * prefix  0x00 for the one-byte operators, else the byte before the LEB128 `code`.
 * IMM     the immediates that follow in the code, one of WASM_IMM_TABLE.
 * SIG     parameters, '_', results; i=i32 I=i64 f=f32 F=f64 v=v128.  SPECIAL where the types come from the context.
 * ALIGN   log2 of the natural alignment of a memory operator, which is also the size it touches; else 0. */
#ifndef AEON_WASM_OPCODES_H
#define AEON_WASM_OPCODES_H

#include <stdint.h>

// clang-format off

#define WASM_IMM_TABLE(X) \
    X(NONE)        /* nothing */ \
    X(TRAPS)       /* nothing; but the operator can trap */ \
    X(BLOCK)       /* s33 block type */ \
    X(LABEL)       /* u32 depth */ \
    X(LABELS)      /* vector of u32 depths, then the default's */ \
    X(FUNC)        /* u32 function */ \
    X(INDIRECT)    /* u32 type, u32 table */ \
    X(SELECT_T)    /* vector of value types */ \
    X(LOCAL)       /* u32 local */ \
    X(GLOBAL)      /* u32 global */ \
    X(TABLE)       /* u32 table */ \
    X(TABLE2)      /* u32 destination table, u32 source table */ \
    X(LOAD)        /* u32 alignment, u32 offset */ \
    X(STORE)       /* as LOAD */ \
    X(LOAD_LANE)   /* as LOAD, then a lane byte */ \
    X(STORE_LANE)  /* as LOAD, then a lane byte */ \
    X(MEMORY)      /* memory byte, 0 */ \
    X(MEMORY2)     /* destination and source memory bytes, 0 */ \
    X(DATA)        /* u32 data segment */ \
    X(DATA_MEMORY) /* u32 data segment, memory byte */ \
    X(ELEM)        /* u32 element segment */ \
    X(ELEM_TABLE)  /* u32 element segment, u32 table */ \
    X(CONST_I32)   /* s32 */ \
    X(CONST_I64)   /* s64 */ \
    X(CONST_F32)   /* 4 bytes */ \
    X(CONST_F64)   /* 8 bytes */ \
    X(CONST_V128)  /* 16 bytes */ \
    X(REFTYPE)     /* reference type byte */ \
    X(SHUFFLE)     /* 16 lane bytes */ \
    X(LANE)        /* lane byte */

#define WASM_OPCODES(X) \
    /* control */                                                                                            \
    X(UNREACHABLE,                  "unreachable",                     0x00, 0x00, NONE,        SPECIAL, 0)  \
    X(NOP,                          "nop",                             0x00, 0x01, NONE,        SPECIAL, 0)  \
    X(BLOCK,                        "block",                           0x00, 0x02, BLOCK,       SPECIAL, 0)  \
    X(LOOP,                         "loop",                            0x00, 0x03, BLOCK,       SPECIAL, 0)  \
    X(IF,                           "if",                              0x00, 0x04, BLOCK,       SPECIAL, 0)  \
    X(ELSE,                         "else",                            0x00, 0x05, NONE,        SPECIAL, 0)  \
    X(END,                          "end",                             0x00, 0x0b, NONE,        SPECIAL, 0)  \
    X(BR,                           "br",                              0x00, 0x0c, LABEL,       SPECIAL, 0)  \
    X(BR_IF,                        "br_if",                           0x00, 0x0d, LABEL,       SPECIAL, 0)  \
    X(BR_TABLE,                     "br_table",                        0x00, 0x0e, LABELS,      SPECIAL, 0)  \
    X(RETURN,                       "return",                          0x00, 0x0f, NONE,        SPECIAL, 0)  \
    X(CALL,                         "call",                            0x00, 0x10, FUNC,        SPECIAL, 0)  \
    X(CALL_INDIRECT,                "call_indirect",                   0x00, 0x11, INDIRECT,    SPECIAL, 0)  \
    X(RETURN_CALL,                  "return_call",                     0x00, 0x12, FUNC,        SPECIAL, 0)  \
    X(RETURN_CALL_INDIRECT,         "return_call_indirect",            0x00, 0x13, INDIRECT,    SPECIAL, 0)  \
    /* parametric, variables, tables */                                                                      \
    X(DROP,                         "drop",                            0x00, 0x1a, NONE,        SPECIAL, 0)  \
    X(SELECT,                       "select",                          0x00, 0x1b, NONE,        SPECIAL, 0)  \
    X(SELECT_T,                     "select",                          0x00, 0x1c, SELECT_T,    SPECIAL, 0)  \
    X(LOCAL_GET,                    "local.get",                       0x00, 0x20, LOCAL,       SPECIAL, 0)  \
    X(LOCAL_SET,                    "local.set",                       0x00, 0x21, LOCAL,       SPECIAL, 0)  \
    X(LOCAL_TEE,                    "local.tee",                       0x00, 0x22, LOCAL,       SPECIAL, 0)  \
    X(GLOBAL_GET,                   "global.get",                      0x00, 0x23, GLOBAL,      SPECIAL, 0)  \
    X(GLOBAL_SET,                   "global.set",                      0x00, 0x24, GLOBAL,      SPECIAL, 0)  \
    X(TABLE_GET,                    "table.get",                       0x00, 0x25, TABLE,       SPECIAL, 0)  \
    X(TABLE_SET,                    "table.set",                       0x00, 0x26, TABLE,       SPECIAL, 0)  \
    /* memory */                                                                                             \
    X(I32_LOAD,                     "i32.load",                        0x00, 0x28, LOAD,        i_i,     2)  \
    X(I64_LOAD,                     "i64.load",                        0x00, 0x29, LOAD,        i_I,     3)  \
    X(F32_LOAD,                     "f32.load",                        0x00, 0x2a, LOAD,        i_f,     2)  \
    X(F64_LOAD,                     "f64.load",                        0x00, 0x2b, LOAD,        i_F,     3)  \
    X(I32_LOAD8_S,                  "i32.load8_s",                     0x00, 0x2c, LOAD,        i_i,     0)  \
    X(I32_LOAD8_U,                  "i32.load8_u",                     0x00, 0x2d, LOAD,        i_i,     0)  \
    X(I32_LOAD16_S,                 "i32.load16_s",                    0x00, 0x2e, LOAD,        i_i,     1)  \
    X(I32_LOAD16_U,                 "i32.load16_u",                    0x00, 0x2f, LOAD,        i_i,     1)  \
    X(I64_LOAD8_S,                  "i64.load8_s",                     0x00, 0x30, LOAD,        i_I,     0)  \
    X(I64_LOAD8_U,                  "i64.load8_u",                     0x00, 0x31, LOAD,        i_I,     0)  \
    X(I64_LOAD16_S,                 "i64.load16_s",                    0x00, 0x32, LOAD,        i_I,     1)  \
    X(I64_LOAD16_U,                 "i64.load16_u",                    0x00, 0x33, LOAD,        i_I,     1)  \
    X(I64_LOAD32_S,                 "i64.load32_s",                    0x00, 0x34, LOAD,        i_I,     2)  \
    X(I64_LOAD32_U,                 "i64.load32_u",                    0x00, 0x35, LOAD,        i_I,     2)  \
    X(I32_STORE,                    "i32.store",                       0x00, 0x36, STORE,       ii_,     2)  \
    X(I64_STORE,                    "i64.store",                       0x00, 0x37, STORE,       iI_,     3)  \
    X(F32_STORE,                    "f32.store",                       0x00, 0x38, STORE,       if_,     2)  \
    X(F64_STORE,                    "f64.store",                       0x00, 0x39, STORE,       iF_,     3)  \
    X(I32_STORE8,                   "i32.store8",                      0x00, 0x3a, STORE,       ii_,     0)  \
    X(I32_STORE16,                  "i32.store16",                     0x00, 0x3b, STORE,       ii_,     1)  \
    X(I64_STORE8,                   "i64.store8",                      0x00, 0x3c, STORE,       iI_,     0)  \
    X(I64_STORE16,                  "i64.store16",                     0x00, 0x3d, STORE,       iI_,     1)  \
    X(I64_STORE32,                  "i64.store32",                     0x00, 0x3e, STORE,       iI_,     2)  \
    X(MEMORY_SIZE,                  "memory.size",                     0x00, 0x3f, MEMORY,      _i,      0)  \
    X(MEMORY_GROW,                  "memory.grow",                     0x00, 0x40, MEMORY,      i_i,     0)  \
    /* constants */                                                                                          \
    X(I32_CONST,                    "i32.const",                       0x00, 0x41, CONST_I32,   _i,      0)  \
    X(I64_CONST,                    "i64.const",                       0x00, 0x42, CONST_I64,   _I,      0)  \
    X(F32_CONST,                    "f32.const",                       0x00, 0x43, CONST_F32,   _f,      0)  \
    X(F64_CONST,                    "f64.const",                       0x00, 0x44, CONST_F64,   _F,      0)  \
    /* integer and floating-point comparisons */                                                             \
    X(I32_EQZ,                      "i32.eqz",                         0x00, 0x45, NONE,        i_i,     0)  \
    X(I32_EQ,                       "i32.eq",                          0x00, 0x46, NONE,        ii_i,    0)  \
    X(I32_NE,                       "i32.ne",                          0x00, 0x47, NONE,        ii_i,    0)  \
    X(I32_LT_S,                     "i32.lt_s",                        0x00, 0x48, NONE,        ii_i,    0)  \
    X(I32_LT_U,                     "i32.lt_u",                        0x00, 0x49, NONE,        ii_i,    0)  \
    X(I32_GT_S,                     "i32.gt_s",                        0x00, 0x4a, NONE,        ii_i,    0)  \
    X(I32_GT_U,                     "i32.gt_u",                        0x00, 0x4b, NONE,        ii_i,    0)  \
    X(I32_LE_S,                     "i32.le_s",                        0x00, 0x4c, NONE,        ii_i,    0)  \
    X(I32_LE_U,                     "i32.le_u",                        0x00, 0x4d, NONE,        ii_i,    0)  \
    X(I32_GE_S,                     "i32.ge_s",                        0x00, 0x4e, NONE,        ii_i,    0)  \
    X(I32_GE_U,                     "i32.ge_u",                        0x00, 0x4f, NONE,        ii_i,    0)  \
    X(I64_EQZ,                      "i64.eqz",                         0x00, 0x50, NONE,        I_i,     0)  \
    X(I64_EQ,                       "i64.eq",                          0x00, 0x51, NONE,        II_i,    0)  \
    X(I64_NE,                       "i64.ne",                          0x00, 0x52, NONE,        II_i,    0)  \
    X(I64_LT_S,                     "i64.lt_s",                        0x00, 0x53, NONE,        II_i,    0)  \
    X(I64_LT_U,                     "i64.lt_u",                        0x00, 0x54, NONE,        II_i,    0)  \
    X(I64_GT_S,                     "i64.gt_s",                        0x00, 0x55, NONE,        II_i,    0)  \
    X(I64_GT_U,                     "i64.gt_u",                        0x00, 0x56, NONE,        II_i,    0)  \
    X(I64_LE_S,                     "i64.le_s",                        0x00, 0x57, NONE,        II_i,    0)  \
    X(I64_LE_U,                     "i64.le_u",                        0x00, 0x58, NONE,        II_i,    0)  \
    X(I64_GE_S,                     "i64.ge_s",                        0x00, 0x59, NONE,        II_i,    0)  \
    X(I64_GE_U,                     "i64.ge_u",                        0x00, 0x5a, NONE,        II_i,    0)  \
    X(F32_EQ,                       "f32.eq",                          0x00, 0x5b, NONE,        ff_i,    0)  \
    X(F32_NE,                       "f32.ne",                          0x00, 0x5c, NONE,        ff_i,    0)  \
    X(F32_LT,                       "f32.lt",                          0x00, 0x5d, NONE,        ff_i,    0)  \
    X(F32_GT,                       "f32.gt",                          0x00, 0x5e, NONE,        ff_i,    0)  \
    X(F32_LE,                       "f32.le",                          0x00, 0x5f, NONE,        ff_i,    0)  \
    X(F32_GE,                       "f32.ge",                          0x00, 0x60, NONE,        ff_i,    0)  \
    X(F64_EQ,                       "f64.eq",                          0x00, 0x61, NONE,        FF_i,    0)  \
    X(F64_NE,                       "f64.ne",                          0x00, 0x62, NONE,        FF_i,    0)  \
    X(F64_LT,                       "f64.lt",                          0x00, 0x63, NONE,        FF_i,    0)  \
    X(F64_GT,                       "f64.gt",                          0x00, 0x64, NONE,        FF_i,    0)  \
    X(F64_LE,                       "f64.le",                          0x00, 0x65, NONE,        FF_i,    0)  \
    X(F64_GE,                       "f64.ge",                          0x00, 0x66, NONE,        FF_i,    0)  \
    /* arithmetic */                                                                                         \
    X(I32_CLZ,                      "i32.clz",                         0x00, 0x67, NONE,        i_i,     0)  \
    X(I32_CTZ,                      "i32.ctz",                         0x00, 0x68, NONE,        i_i,     0)  \
    X(I32_POPCNT,                   "i32.popcnt",                      0x00, 0x69, NONE,        i_i,     0)  \
    X(I32_ADD,                      "i32.add",                         0x00, 0x6a, NONE,        ii_i,    0)  \
    X(I32_SUB,                      "i32.sub",                         0x00, 0x6b, NONE,        ii_i,    0)  \
    X(I32_MUL,                      "i32.mul",                         0x00, 0x6c, NONE,        ii_i,    0)  \
    X(I32_DIV_S,                    "i32.div_s",                       0x00, 0x6d, TRAPS,       ii_i,    0)  \
    X(I32_DIV_U,                    "i32.div_u",                       0x00, 0x6e, TRAPS,       ii_i,    0)  \
    X(I32_REM_S,                    "i32.rem_s",                       0x00, 0x6f, TRAPS,       ii_i,    0)  \
    X(I32_REM_U,                    "i32.rem_u",                       0x00, 0x70, TRAPS,       ii_i,    0)  \
    X(I32_AND,                      "i32.and",                         0x00, 0x71, NONE,        ii_i,    0)  \
    X(I32_OR,                       "i32.or",                          0x00, 0x72, NONE,        ii_i,    0)  \
    X(I32_XOR,                      "i32.xor",                         0x00, 0x73, NONE,        ii_i,    0)  \
    X(I32_SHL,                      "i32.shl",                         0x00, 0x74, NONE,        ii_i,    0)  \
    X(I32_SHR_S,                    "i32.shr_s",                       0x00, 0x75, NONE,        ii_i,    0)  \
    X(I32_SHR_U,                    "i32.shr_u",                       0x00, 0x76, NONE,        ii_i,    0)  \
    X(I32_ROTL,                     "i32.rotl",                        0x00, 0x77, NONE,        ii_i,    0)  \
    X(I32_ROTR,                     "i32.rotr",                        0x00, 0x78, NONE,        ii_i,    0)  \
    X(I64_CLZ,                      "i64.clz",                         0x00, 0x79, NONE,        I_I,     0)  \
    X(I64_CTZ,                      "i64.ctz",                         0x00, 0x7a, NONE,        I_I,     0)  \
    X(I64_POPCNT,                   "i64.popcnt",                      0x00, 0x7b, NONE,        I_I,     0)  \
    X(I64_ADD,                      "i64.add",                         0x00, 0x7c, NONE,        II_I,    0)  \
    X(I64_SUB,                      "i64.sub",                         0x00, 0x7d, NONE,        II_I,    0)  \
    X(I64_MUL,                      "i64.mul",                         0x00, 0x7e, NONE,        II_I,    0)  \
    X(I64_DIV_S,                    "i64.div_s",                       0x00, 0x7f, TRAPS,       II_I,    0)  \
    X(I64_DIV_U,                    "i64.div_u",                       0x00, 0x80, TRAPS,       II_I,    0)  \
    X(I64_REM_S,                    "i64.rem_s",                       0x00, 0x81, TRAPS,       II_I,    0)  \
    X(I64_REM_U,                    "i64.rem_u",                       0x00, 0x82, TRAPS,       II_I,    0)  \
    X(I64_AND,                      "i64.and",                         0x00, 0x83, NONE,        II_I,    0)  \
    X(I64_OR,                       "i64.or",                          0x00, 0x84, NONE,        II_I,    0)  \
    X(I64_XOR,                      "i64.xor",                         0x00, 0x85, NONE,        II_I,    0)  \
    X(I64_SHL,                      "i64.shl",                         0x00, 0x86, NONE,        II_I,    0)  \
    X(I64_SHR_S,                    "i64.shr_s",                       0x00, 0x87, NONE,        II_I,    0)  \
    X(I64_SHR_U,                    "i64.shr_u",                       0x00, 0x88, NONE,        II_I,    0)  \
    X(I64_ROTL,                     "i64.rotl",                        0x00, 0x89, NONE,        II_I,    0)  \
    X(I64_ROTR,                     "i64.rotr",                        0x00, 0x8a, NONE,        II_I,    0)  \
    X(F32_ABS,                      "f32.abs",                         0x00, 0x8b, NONE,        f_f,     0)  \
    X(F32_NEG,                      "f32.neg",                         0x00, 0x8c, NONE,        f_f,     0)  \
    X(F32_CEIL,                     "f32.ceil",                        0x00, 0x8d, NONE,        f_f,     0)  \
    X(F32_FLOOR,                    "f32.floor",                       0x00, 0x8e, NONE,        f_f,     0)  \
    X(F32_TRUNC,                    "f32.trunc",                       0x00, 0x8f, NONE,        f_f,     0)  \
    X(F32_NEAREST,                  "f32.nearest",                     0x00, 0x90, NONE,        f_f,     0)  \
    X(F32_SQRT,                     "f32.sqrt",                        0x00, 0x91, NONE,        f_f,     0)  \
    X(F32_ADD,                      "f32.add",                         0x00, 0x92, NONE,        ff_f,    0)  \
    X(F32_SUB,                      "f32.sub",                         0x00, 0x93, NONE,        ff_f,    0)  \
    X(F32_MUL,                      "f32.mul",                         0x00, 0x94, NONE,        ff_f,    0)  \
    X(F32_DIV,                      "f32.div",                         0x00, 0x95, NONE,        ff_f,    0)  \
    X(F32_MIN,                      "f32.min",                         0x00, 0x96, NONE,        ff_f,    0)  \
    X(F32_MAX,                      "f32.max",                         0x00, 0x97, NONE,        ff_f,    0)  \
    X(F32_COPYSIGN,                 "f32.copysign",                    0x00, 0x98, NONE,        ff_f,    0)  \
    X(F64_ABS,                      "f64.abs",                         0x00, 0x99, NONE,        F_F,     0)  \
    X(F64_NEG,                      "f64.neg",                         0x00, 0x9a, NONE,        F_F,     0)  \
    X(F64_CEIL,                     "f64.ceil",                        0x00, 0x9b, NONE,        F_F,     0)  \
    X(F64_FLOOR,                    "f64.floor",                       0x00, 0x9c, NONE,        F_F,     0)  \
    X(F64_TRUNC,                    "f64.trunc",                       0x00, 0x9d, NONE,        F_F,     0)  \
    X(F64_NEAREST,                  "f64.nearest",                     0x00, 0x9e, NONE,        F_F,     0)  \
    X(F64_SQRT,                     "f64.sqrt",                        0x00, 0x9f, NONE,        F_F,     0)  \
    X(F64_ADD,                      "f64.add",                         0x00, 0xa0, NONE,        FF_F,    0)  \
    X(F64_SUB,                      "f64.sub",                         0x00, 0xa1, NONE,        FF_F,    0)  \
    X(F64_MUL,                      "f64.mul",                         0x00, 0xa2, NONE,        FF_F,    0)  \
    X(F64_DIV,                      "f64.div",                         0x00, 0xa3, NONE,        FF_F,    0)  \
    X(F64_MIN,                      "f64.min",                         0x00, 0xa4, NONE,        FF_F,    0)  \
    X(F64_MAX,                      "f64.max",                         0x00, 0xa5, NONE,        FF_F,    0)  \
    X(F64_COPYSIGN,                 "f64.copysign",                    0x00, 0xa6, NONE,        FF_F,    0)  \
    /* conversions */                                                                                        \
    X(I32_WRAP_I64,                 "i32.wrap_i64",                    0x00, 0xa7, NONE,        I_i,     0)  \
    X(I32_TRUNC_F32_S,              "i32.trunc_f32_s",                 0x00, 0xa8, TRAPS,       f_i,     0)  \
    X(I32_TRUNC_F32_U,              "i32.trunc_f32_u",                 0x00, 0xa9, TRAPS,       f_i,     0)  \
    X(I32_TRUNC_F64_S,              "i32.trunc_f64_s",                 0x00, 0xaa, TRAPS,       F_i,     0)  \
    X(I32_TRUNC_F64_U,              "i32.trunc_f64_u",                 0x00, 0xab, TRAPS,       F_i,     0)  \
    X(I64_EXTEND_I32_S,             "i64.extend_i32_s",                0x00, 0xac, NONE,        i_I,     0)  \
    X(I64_EXTEND_I32_U,             "i64.extend_i32_u",                0x00, 0xad, NONE,        i_I,     0)  \
    X(I64_TRUNC_F32_S,              "i64.trunc_f32_s",                 0x00, 0xae, TRAPS,       f_I,     0)  \
    X(I64_TRUNC_F32_U,              "i64.trunc_f32_u",                 0x00, 0xaf, TRAPS,       f_I,     0)  \
    X(I64_TRUNC_F64_S,              "i64.trunc_f64_s",                 0x00, 0xb0, TRAPS,       F_I,     0)  \
    X(I64_TRUNC_F64_U,              "i64.trunc_f64_u",                 0x00, 0xb1, TRAPS,       F_I,     0)  \
    X(F32_CONVERT_I32_S,            "f32.convert_i32_s",               0x00, 0xb2, NONE,        i_f,     0)  \
    X(F32_CONVERT_I32_U,            "f32.convert_i32_u",               0x00, 0xb3, NONE,        i_f,     0)  \
    X(F32_CONVERT_I64_S,            "f32.convert_i64_s",               0x00, 0xb4, NONE,        I_f,     0)  \
    X(F32_CONVERT_I64_U,            "f32.convert_i64_u",               0x00, 0xb5, NONE,        I_f,     0)  \
    X(F32_DEMOTE_F64,               "f32.demote_f64",                  0x00, 0xb6, NONE,        F_f,     0)  \
    X(F64_CONVERT_I32_S,            "f64.convert_i32_s",               0x00, 0xb7, NONE,        i_F,     0)  \
    X(F64_CONVERT_I32_U,            "f64.convert_i32_u",               0x00, 0xb8, NONE,        i_F,     0)  \
    X(F64_CONVERT_I64_S,            "f64.convert_i64_s",               0x00, 0xb9, NONE,        I_F,     0)  \
    X(F64_CONVERT_I64_U,            "f64.convert_i64_u",               0x00, 0xba, NONE,        I_F,     0)  \
    X(F64_PROMOTE_F32,              "f64.promote_f32",                 0x00, 0xbb, NONE,        f_F,     0)  \
    X(I32_REINTERPRET_F32,          "i32.reinterpret_f32",             0x00, 0xbc, NONE,        f_i,     0)  \
    X(I64_REINTERPRET_F64,          "i64.reinterpret_f64",             0x00, 0xbd, NONE,        F_I,     0)  \
    X(F32_REINTERPRET_I32,          "f32.reinterpret_i32",             0x00, 0xbe, NONE,        i_f,     0)  \
    X(F64_REINTERPRET_I64,          "f64.reinterpret_i64",             0x00, 0xbf, NONE,        I_F,     0)  \
    X(I32_EXTEND8_S,                "i32.extend8_s",                   0x00, 0xc0, NONE,        i_i,     0)  \
    X(I32_EXTEND16_S,               "i32.extend16_s",                  0x00, 0xc1, NONE,        i_i,     0)  \
    X(I64_EXTEND8_S,                "i64.extend8_s",                   0x00, 0xc2, NONE,        I_I,     0)  \
    X(I64_EXTEND16_S,               "i64.extend16_s",                  0x00, 0xc3, NONE,        I_I,     0)  \
    X(I64_EXTEND32_S,               "i64.extend32_s",                  0x00, 0xc4, NONE,        I_I,     0)  \
    /* references */                                                                                         \
    X(REF_NULL,                     "ref.null",                        0x00, 0xd0, REFTYPE,     SPECIAL, 0)  \
    X(REF_IS_NULL,                  "ref.is_null",                     0x00, 0xd1, NONE,        SPECIAL, 0)  \
    X(REF_FUNC,                     "ref.func",                        0x00, 0xd2, FUNC,        SPECIAL, 0)  \
    /* 0xfc: saturating conversions, bulk memory and tables */                                               \
    X(I32_TRUNC_SAT_F32_S,          "i32.trunc_sat_f32_s",             0xfc, 0x00, NONE,        f_i,     0)  \
    X(I32_TRUNC_SAT_F32_U,          "i32.trunc_sat_f32_u",             0xfc, 0x01, NONE,        f_i,     0)  \
    X(I32_TRUNC_SAT_F64_S,          "i32.trunc_sat_f64_s",             0xfc, 0x02, NONE,        F_i,     0)  \
    X(I32_TRUNC_SAT_F64_U,          "i32.trunc_sat_f64_u",             0xfc, 0x03, NONE,        F_i,     0)  \
    X(I64_TRUNC_SAT_F32_S,          "i64.trunc_sat_f32_s",             0xfc, 0x04, NONE,        f_I,     0)  \
    X(I64_TRUNC_SAT_F32_U,          "i64.trunc_sat_f32_u",             0xfc, 0x05, NONE,        f_I,     0)  \
    X(I64_TRUNC_SAT_F64_S,          "i64.trunc_sat_f64_s",             0xfc, 0x06, NONE,        F_I,     0)  \
    X(I64_TRUNC_SAT_F64_U,          "i64.trunc_sat_f64_u",             0xfc, 0x07, NONE,        F_I,     0)  \
    X(MEMORY_INIT,                  "memory.init",                     0xfc, 0x08, DATA_MEMORY, iii_,    0)  \
    X(DATA_DROP,                    "data.drop",                       0xfc, 0x09, DATA,        _,       0)  \
    X(MEMORY_COPY,                  "memory.copy",                     0xfc, 0x0a, MEMORY2,     iii_,    0)  \
    X(MEMORY_FILL,                  "memory.fill",                     0xfc, 0x0b, MEMORY,      iii_,    0)  \
    X(TABLE_INIT,                   "table.init",                      0xfc, 0x0c, ELEM_TABLE,  iii_,    0)  \
    X(ELEM_DROP,                    "elem.drop",                       0xfc, 0x0d, ELEM,        _,       0)  \
    X(TABLE_COPY,                   "table.copy",                      0xfc, 0x0e, TABLE2,      iii_,    0)  \
    X(TABLE_GROW,                   "table.grow",                      0xfc, 0x0f, TABLE,       SPECIAL, 0)  \
    X(TABLE_SIZE,                   "table.size",                      0xfc, 0x10, TABLE,       _i,      0)  \
    X(TABLE_FILL,                   "table.fill",                      0xfc, 0x11, TABLE,       SPECIAL, 0)  \
    /* 0xfd: vectors */                                                                                      \
    X(V128_LOAD,                    "v128.load",                       0xfd, 0x00, LOAD,        i_v,     4)  \
    X(V128_LOAD8X8_S,               "v128.load8x8_s",                  0xfd, 0x01, LOAD,        i_v,     3)  \
    X(V128_LOAD8X8_U,               "v128.load8x8_u",                  0xfd, 0x02, LOAD,        i_v,     3)  \
    X(V128_LOAD16X4_S,              "v128.load16x4_s",                 0xfd, 0x03, LOAD,        i_v,     3)  \
    X(V128_LOAD16X4_U,              "v128.load16x4_u",                 0xfd, 0x04, LOAD,        i_v,     3)  \
    X(V128_LOAD32X2_S,              "v128.load32x2_s",                 0xfd, 0x05, LOAD,        i_v,     3)  \
    X(V128_LOAD32X2_U,              "v128.load32x2_u",                 0xfd, 0x06, LOAD,        i_v,     3)  \
    X(V128_LOAD8_SPLAT,             "v128.load8_splat",                0xfd, 0x07, LOAD,        i_v,     0)  \
    X(V128_LOAD16_SPLAT,            "v128.load16_splat",               0xfd, 0x08, LOAD,        i_v,     1)  \
    X(V128_LOAD32_SPLAT,            "v128.load32_splat",               0xfd, 0x09, LOAD,        i_v,     2)  \
    X(V128_LOAD64_SPLAT,            "v128.load64_splat",               0xfd, 0x0a, LOAD,        i_v,     3)  \
    X(V128_STORE,                   "v128.store",                      0xfd, 0x0b, STORE,       iv_,     4)  \
    X(V128_CONST,                   "v128.const",                      0xfd, 0x0c, CONST_V128,  _v,      0)  \
    X(I8X16_SHUFFLE,                "i8x16.shuffle",                   0xfd, 0x0d, SHUFFLE,     vv_v,    0)  \
    X(I8X16_SWIZZLE,                "i8x16.swizzle",                   0xfd, 0x0e, NONE,        vv_v,    0)  \
    X(I8X16_SPLAT,                  "i8x16.splat",                     0xfd, 0x0f, NONE,        i_v,     0)  \
    X(I16X8_SPLAT,                  "i16x8.splat",                     0xfd, 0x10, NONE,        i_v,     0)  \
    X(I32X4_SPLAT,                  "i32x4.splat",                     0xfd, 0x11, NONE,        i_v,     0)  \
    X(I64X2_SPLAT,                  "i64x2.splat",                     0xfd, 0x12, NONE,        I_v,     0)  \
    X(F32X4_SPLAT,                  "f32x4.splat",                     0xfd, 0x13, NONE,        f_v,     0)  \
    X(F64X2_SPLAT,                  "f64x2.splat",                     0xfd, 0x14, NONE,        F_v,     0)  \
    X(I8X16_EXTRACT_LANE_S,         "i8x16.extract_lane_s",            0xfd, 0x15, LANE,        v_i,     0)  \
    X(I8X16_EXTRACT_LANE_U,         "i8x16.extract_lane_u",            0xfd, 0x16, LANE,        v_i,     0)  \
    X(I8X16_REPLACE_LANE,           "i8x16.replace_lane",              0xfd, 0x17, LANE,        vi_v,    0)  \
    X(I16X8_EXTRACT_LANE_S,         "i16x8.extract_lane_s",            0xfd, 0x18, LANE,        v_i,     0)  \
    X(I16X8_EXTRACT_LANE_U,         "i16x8.extract_lane_u",            0xfd, 0x19, LANE,        v_i,     0)  \
    X(I16X8_REPLACE_LANE,           "i16x8.replace_lane",              0xfd, 0x1a, LANE,        vi_v,    0)  \
    X(I32X4_EXTRACT_LANE,           "i32x4.extract_lane",              0xfd, 0x1b, LANE,        v_i,     0)  \
    X(I32X4_REPLACE_LANE,           "i32x4.replace_lane",              0xfd, 0x1c, LANE,        vi_v,    0)  \
    X(I64X2_EXTRACT_LANE,           "i64x2.extract_lane",              0xfd, 0x1d, LANE,        v_I,     0)  \
    X(I64X2_REPLACE_LANE,           "i64x2.replace_lane",              0xfd, 0x1e, LANE,        vI_v,    0)  \
    X(F32X4_EXTRACT_LANE,           "f32x4.extract_lane",              0xfd, 0x1f, LANE,        v_f,     0)  \
    X(F32X4_REPLACE_LANE,           "f32x4.replace_lane",              0xfd, 0x20, LANE,        vf_v,    0)  \
    X(F64X2_EXTRACT_LANE,           "f64x2.extract_lane",              0xfd, 0x21, LANE,        v_F,     0)  \
    X(F64X2_REPLACE_LANE,           "f64x2.replace_lane",              0xfd, 0x22, LANE,        vF_v,    0)  \
    X(I8X16_EQ,                     "i8x16.eq",                        0xfd, 0x23, NONE,        vv_v,    0)  \
    X(I8X16_NE,                     "i8x16.ne",                        0xfd, 0x24, NONE,        vv_v,    0)  \
    X(I8X16_LT_S,                   "i8x16.lt_s",                      0xfd, 0x25, NONE,        vv_v,    0)  \
    X(I8X16_LT_U,                   "i8x16.lt_u",                      0xfd, 0x26, NONE,        vv_v,    0)  \
    X(I8X16_GT_S,                   "i8x16.gt_s",                      0xfd, 0x27, NONE,        vv_v,    0)  \
    X(I8X16_GT_U,                   "i8x16.gt_u",                      0xfd, 0x28, NONE,        vv_v,    0)  \
    X(I8X16_LE_S,                   "i8x16.le_s",                      0xfd, 0x29, NONE,        vv_v,    0)  \
    X(I8X16_LE_U,                   "i8x16.le_u",                      0xfd, 0x2a, NONE,        vv_v,    0)  \
    X(I8X16_GE_S,                   "i8x16.ge_s",                      0xfd, 0x2b, NONE,        vv_v,    0)  \
    X(I8X16_GE_U,                   "i8x16.ge_u",                      0xfd, 0x2c, NONE,        vv_v,    0)  \
    X(I16X8_EQ,                     "i16x8.eq",                        0xfd, 0x2d, NONE,        vv_v,    0)  \
    X(I16X8_NE,                     "i16x8.ne",                        0xfd, 0x2e, NONE,        vv_v,    0)  \
    X(I16X8_LT_S,                   "i16x8.lt_s",                      0xfd, 0x2f, NONE,        vv_v,    0)  \
    X(I16X8_LT_U,                   "i16x8.lt_u",                      0xfd, 0x30, NONE,        vv_v,    0)  \
    X(I16X8_GT_S,                   "i16x8.gt_s",                      0xfd, 0x31, NONE,        vv_v,    0)  \
    X(I16X8_GT_U,                   "i16x8.gt_u",                      0xfd, 0x32, NONE,        vv_v,    0)  \
    X(I16X8_LE_S,                   "i16x8.le_s",                      0xfd, 0x33, NONE,        vv_v,    0)  \
    X(I16X8_LE_U,                   "i16x8.le_u",                      0xfd, 0x34, NONE,        vv_v,    0)  \
    X(I16X8_GE_S,                   "i16x8.ge_s",                      0xfd, 0x35, NONE,        vv_v,    0)  \
    X(I16X8_GE_U,                   "i16x8.ge_u",                      0xfd, 0x36, NONE,        vv_v,    0)  \
    X(I32X4_EQ,                     "i32x4.eq",                        0xfd, 0x37, NONE,        vv_v,    0)  \
    X(I32X4_NE,                     "i32x4.ne",                        0xfd, 0x38, NONE,        vv_v,    0)  \
    X(I32X4_LT_S,                   "i32x4.lt_s",                      0xfd, 0x39, NONE,        vv_v,    0)  \
    X(I32X4_LT_U,                   "i32x4.lt_u",                      0xfd, 0x3a, NONE,        vv_v,    0)  \
    X(I32X4_GT_S,                   "i32x4.gt_s",                      0xfd, 0x3b, NONE,        vv_v,    0)  \
    X(I32X4_GT_U,                   "i32x4.gt_u",                      0xfd, 0x3c, NONE,        vv_v,    0)  \
    X(I32X4_LE_S,                   "i32x4.le_s",                      0xfd, 0x3d, NONE,        vv_v,    0)  \
    X(I32X4_LE_U,                   "i32x4.le_u",                      0xfd, 0x3e, NONE,        vv_v,    0)  \
    X(I32X4_GE_S,                   "i32x4.ge_s",                      0xfd, 0x3f, NONE,        vv_v,    0)  \
    X(I32X4_GE_U,                   "i32x4.ge_u",                      0xfd, 0x40, NONE,        vv_v,    0)  \
    X(F32X4_EQ,                     "f32x4.eq",                        0xfd, 0x41, NONE,        vv_v,    0)  \
    X(F32X4_NE,                     "f32x4.ne",                        0xfd, 0x42, NONE,        vv_v,    0)  \
    X(F32X4_LT,                     "f32x4.lt",                        0xfd, 0x43, NONE,        vv_v,    0)  \
    X(F32X4_GT,                     "f32x4.gt",                        0xfd, 0x44, NONE,        vv_v,    0)  \
    X(F32X4_LE,                     "f32x4.le",                        0xfd, 0x45, NONE,        vv_v,    0)  \
    X(F32X4_GE,                     "f32x4.ge",                        0xfd, 0x46, NONE,        vv_v,    0)  \
    X(F64X2_EQ,                     "f64x2.eq",                        0xfd, 0x47, NONE,        vv_v,    0)  \
    X(F64X2_NE,                     "f64x2.ne",                        0xfd, 0x48, NONE,        vv_v,    0)  \
    X(F64X2_LT,                     "f64x2.lt",                        0xfd, 0x49, NONE,        vv_v,    0)  \
    X(F64X2_GT,                     "f64x2.gt",                        0xfd, 0x4a, NONE,        vv_v,    0)  \
    X(F64X2_LE,                     "f64x2.le",                        0xfd, 0x4b, NONE,        vv_v,    0)  \
    X(F64X2_GE,                     "f64x2.ge",                        0xfd, 0x4c, NONE,        vv_v,    0)  \
    X(V128_NOT,                     "v128.not",                        0xfd, 0x4d, NONE,        v_v,     0)  \
    X(V128_AND,                     "v128.and",                        0xfd, 0x4e, NONE,        vv_v,    0)  \
    X(V128_ANDNOT,                  "v128.andnot",                     0xfd, 0x4f, NONE,        vv_v,    0)  \
    X(V128_OR,                      "v128.or",                         0xfd, 0x50, NONE,        vv_v,    0)  \
    X(V128_XOR,                     "v128.xor",                        0xfd, 0x51, NONE,        vv_v,    0)  \
    X(V128_BITSELECT,               "v128.bitselect",                  0xfd, 0x52, NONE,        vvv_v,   0)  \
    X(V128_ANY_TRUE,                "v128.any_true",                   0xfd, 0x53, NONE,        v_i,     0)  \
    X(V128_LOAD8_LANE,              "v128.load8_lane",                 0xfd, 0x54, LOAD_LANE,   iv_v,    0)  \
    X(V128_LOAD16_LANE,             "v128.load16_lane",                0xfd, 0x55, LOAD_LANE,   iv_v,    1)  \
    X(V128_LOAD32_LANE,             "v128.load32_lane",                0xfd, 0x56, LOAD_LANE,   iv_v,    2)  \
    X(V128_LOAD64_LANE,             "v128.load64_lane",                0xfd, 0x57, LOAD_LANE,   iv_v,    3)  \
    X(V128_STORE8_LANE,             "v128.store8_lane",                0xfd, 0x58, STORE_LANE,  iv_,     0)  \
    X(V128_STORE16_LANE,            "v128.store16_lane",               0xfd, 0x59, STORE_LANE,  iv_,     1)  \
    X(V128_STORE32_LANE,            "v128.store32_lane",               0xfd, 0x5a, STORE_LANE,  iv_,     2)  \
    X(V128_STORE64_LANE,            "v128.store64_lane",               0xfd, 0x5b, STORE_LANE,  iv_,     3)  \
    X(V128_LOAD32_ZERO,             "v128.load32_zero",                0xfd, 0x5c, LOAD,        i_v,     2)  \
    X(V128_LOAD64_ZERO,             "v128.load64_zero",                0xfd, 0x5d, LOAD,        i_v,     3)  \
    X(F32X4_DEMOTE_F64X2_ZERO,      "f32x4.demote_f64x2_zero",         0xfd, 0x5e, NONE,        v_v,     0)  \
    X(F64X2_PROMOTE_LOW_F32X4,      "f64x2.promote_low_f32x4",         0xfd, 0x5f, NONE,        v_v,     0)  \
    X(I8X16_ABS,                    "i8x16.abs",                       0xfd, 0x60, NONE,        v_v,     0)  \
    X(I8X16_NEG,                    "i8x16.neg",                       0xfd, 0x61, NONE,        v_v,     0)  \
    X(I8X16_POPCNT,                 "i8x16.popcnt",                    0xfd, 0x62, NONE,        v_v,     0)  \
    X(I8X16_ALL_TRUE,               "i8x16.all_true",                  0xfd, 0x63, NONE,        v_i,     0)  \
    X(I8X16_BITMASK,                "i8x16.bitmask",                   0xfd, 0x64, NONE,        v_i,     0)  \
    X(I8X16_NARROW_I16X8_S,         "i8x16.narrow_i16x8_s",            0xfd, 0x65, NONE,        vv_v,    0)  \
    X(I8X16_NARROW_I16X8_U,         "i8x16.narrow_i16x8_u",            0xfd, 0x66, NONE,        vv_v,    0)  \
    X(F32X4_CEIL,                   "f32x4.ceil",                      0xfd, 0x67, NONE,        v_v,     0)  \
    X(F32X4_FLOOR,                  "f32x4.floor",                     0xfd, 0x68, NONE,        v_v,     0)  \
    X(F32X4_TRUNC,                  "f32x4.trunc",                     0xfd, 0x69, NONE,        v_v,     0)  \
    X(F32X4_NEAREST,                "f32x4.nearest",                   0xfd, 0x6a, NONE,        v_v,     0)  \
    X(I8X16_SHL,                    "i8x16.shl",                       0xfd, 0x6b, NONE,        vi_v,    0)  \
    X(I8X16_SHR_S,                  "i8x16.shr_s",                     0xfd, 0x6c, NONE,        vi_v,    0)  \
    X(I8X16_SHR_U,                  "i8x16.shr_u",                     0xfd, 0x6d, NONE,        vi_v,    0)  \
    X(I8X16_ADD,                    "i8x16.add",                       0xfd, 0x6e, NONE,        vv_v,    0)  \
    X(I8X16_ADD_SAT_S,              "i8x16.add_sat_s",                 0xfd, 0x6f, NONE,        vv_v,    0)  \
    X(I8X16_ADD_SAT_U,              "i8x16.add_sat_u",                 0xfd, 0x70, NONE,        vv_v,    0)  \
    X(I8X16_SUB,                    "i8x16.sub",                       0xfd, 0x71, NONE,        vv_v,    0)  \
    X(I8X16_SUB_SAT_S,              "i8x16.sub_sat_s",                 0xfd, 0x72, NONE,        vv_v,    0)  \
    X(I8X16_SUB_SAT_U,              "i8x16.sub_sat_u",                 0xfd, 0x73, NONE,        vv_v,    0)  \
    X(F64X2_CEIL,                   "f64x2.ceil",                      0xfd, 0x74, NONE,        v_v,     0)  \
    X(F64X2_FLOOR,                  "f64x2.floor",                     0xfd, 0x75, NONE,        v_v,     0)  \
    X(I8X16_MIN_S,                  "i8x16.min_s",                     0xfd, 0x76, NONE,        vv_v,    0)  \
    X(I8X16_MIN_U,                  "i8x16.min_u",                     0xfd, 0x77, NONE,        vv_v,    0)  \
    X(I8X16_MAX_S,                  "i8x16.max_s",                     0xfd, 0x78, NONE,        vv_v,    0)  \
    X(I8X16_MAX_U,                  "i8x16.max_u",                     0xfd, 0x79, NONE,        vv_v,    0)  \
    X(F64X2_TRUNC,                  "f64x2.trunc",                     0xfd, 0x7a, NONE,        v_v,     0)  \
    X(I8X16_AVGR_U,                 "i8x16.avgr_u",                    0xfd, 0x7b, NONE,        vv_v,    0)  \
    X(I16X8_EXTADD_PAIRWISE_I8X16_S, "i16x8.extadd_pairwise_i8x16_s",   0xfd, 0x7c, NONE,        v_v,     0) \
    X(I16X8_EXTADD_PAIRWISE_I8X16_U, "i16x8.extadd_pairwise_i8x16_u",   0xfd, 0x7d, NONE,        v_v,     0) \
    X(I32X4_EXTADD_PAIRWISE_I16X8_S, "i32x4.extadd_pairwise_i16x8_s",   0xfd, 0x7e, NONE,        v_v,     0) \
    X(I32X4_EXTADD_PAIRWISE_I16X8_U, "i32x4.extadd_pairwise_i16x8_u",   0xfd, 0x7f, NONE,        v_v,     0) \
    X(I16X8_ABS,                    "i16x8.abs",                       0xfd, 0x80, NONE,        v_v,     0)  \
    X(I16X8_NEG,                    "i16x8.neg",                       0xfd, 0x81, NONE,        v_v,     0)  \
    X(I16X8_Q15MULR_SAT_S,          "i16x8.q15mulr_sat_s",             0xfd, 0x82, NONE,        vv_v,    0)  \
    X(I16X8_ALL_TRUE,               "i16x8.all_true",                  0xfd, 0x83, NONE,        v_i,     0)  \
    X(I16X8_BITMASK,                "i16x8.bitmask",                   0xfd, 0x84, NONE,        v_i,     0)  \
    X(I16X8_NARROW_I32X4_S,         "i16x8.narrow_i32x4_s",            0xfd, 0x85, NONE,        vv_v,    0)  \
    X(I16X8_NARROW_I32X4_U,         "i16x8.narrow_i32x4_u",            0xfd, 0x86, NONE,        vv_v,    0)  \
    X(I16X8_EXTEND_LOW_I8X16_S,     "i16x8.extend_low_i8x16_s",        0xfd, 0x87, NONE,        v_v,     0)  \
    X(I16X8_EXTEND_HIGH_I8X16_S,    "i16x8.extend_high_i8x16_s",       0xfd, 0x88, NONE,        v_v,     0)  \
    X(I16X8_EXTEND_LOW_I8X16_U,     "i16x8.extend_low_i8x16_u",        0xfd, 0x89, NONE,        v_v,     0)  \
    X(I16X8_EXTEND_HIGH_I8X16_U,    "i16x8.extend_high_i8x16_u",       0xfd, 0x8a, NONE,        v_v,     0)  \
    X(I16X8_SHL,                    "i16x8.shl",                       0xfd, 0x8b, NONE,        vi_v,    0)  \
    X(I16X8_SHR_S,                  "i16x8.shr_s",                     0xfd, 0x8c, NONE,        vi_v,    0)  \
    X(I16X8_SHR_U,                  "i16x8.shr_u",                     0xfd, 0x8d, NONE,        vi_v,    0)  \
    X(I16X8_ADD,                    "i16x8.add",                       0xfd, 0x8e, NONE,        vv_v,    0)  \
    X(I16X8_ADD_SAT_S,              "i16x8.add_sat_s",                 0xfd, 0x8f, NONE,        vv_v,    0)  \
    X(I16X8_ADD_SAT_U,              "i16x8.add_sat_u",                 0xfd, 0x90, NONE,        vv_v,    0)  \
    X(I16X8_SUB,                    "i16x8.sub",                       0xfd, 0x91, NONE,        vv_v,    0)  \
    X(I16X8_SUB_SAT_S,              "i16x8.sub_sat_s",                 0xfd, 0x92, NONE,        vv_v,    0)  \
    X(I16X8_SUB_SAT_U,              "i16x8.sub_sat_u",                 0xfd, 0x93, NONE,        vv_v,    0)  \
    X(F64X2_NEAREST,                "f64x2.nearest",                   0xfd, 0x94, NONE,        v_v,     0)  \
    X(I16X8_MUL,                    "i16x8.mul",                       0xfd, 0x95, NONE,        vv_v,    0)  \
    X(I16X8_MIN_S,                  "i16x8.min_s",                     0xfd, 0x96, NONE,        vv_v,    0)  \
    X(I16X8_MIN_U,                  "i16x8.min_u",                     0xfd, 0x97, NONE,        vv_v,    0)  \
    X(I16X8_MAX_S,                  "i16x8.max_s",                     0xfd, 0x98, NONE,        vv_v,    0)  \
    X(I16X8_MAX_U,                  "i16x8.max_u",                     0xfd, 0x99, NONE,        vv_v,    0)  \
    X(I16X8_AVGR_U,                 "i16x8.avgr_u",                    0xfd, 0x9b, NONE,        vv_v,    0)  \
    X(I16X8_EXTMUL_LOW_I8X16_S,     "i16x8.extmul_low_i8x16_s",        0xfd, 0x9c, NONE,        vv_v,    0)  \
    X(I16X8_EXTMUL_HIGH_I8X16_S,    "i16x8.extmul_high_i8x16_s",       0xfd, 0x9d, NONE,        vv_v,    0)  \
    X(I16X8_EXTMUL_LOW_I8X16_U,     "i16x8.extmul_low_i8x16_u",        0xfd, 0x9e, NONE,        vv_v,    0)  \
    X(I16X8_EXTMUL_HIGH_I8X16_U,    "i16x8.extmul_high_i8x16_u",       0xfd, 0x9f, NONE,        vv_v,    0)  \
    X(I32X4_ABS,                    "i32x4.abs",                       0xfd, 0xa0, NONE,        v_v,     0)  \
    X(I32X4_NEG,                    "i32x4.neg",                       0xfd, 0xa1, NONE,        v_v,     0)  \
    X(I32X4_ALL_TRUE,               "i32x4.all_true",                  0xfd, 0xa3, NONE,        v_i,     0)  \
    X(I32X4_BITMASK,                "i32x4.bitmask",                   0xfd, 0xa4, NONE,        v_i,     0)  \
    X(I32X4_EXTEND_LOW_I16X8_S,     "i32x4.extend_low_i16x8_s",        0xfd, 0xa7, NONE,        v_v,     0)  \
    X(I32X4_EXTEND_HIGH_I16X8_S,    "i32x4.extend_high_i16x8_s",       0xfd, 0xa8, NONE,        v_v,     0)  \
    X(I32X4_EXTEND_LOW_I16X8_U,     "i32x4.extend_low_i16x8_u",        0xfd, 0xa9, NONE,        v_v,     0)  \
    X(I32X4_EXTEND_HIGH_I16X8_U,    "i32x4.extend_high_i16x8_u",       0xfd, 0xaa, NONE,        v_v,     0)  \
    X(I32X4_SHL,                    "i32x4.shl",                       0xfd, 0xab, NONE,        vi_v,    0)  \
    X(I32X4_SHR_S,                  "i32x4.shr_s",                     0xfd, 0xac, NONE,        vi_v,    0)  \
    X(I32X4_SHR_U,                  "i32x4.shr_u",                     0xfd, 0xad, NONE,        vi_v,    0)  \
    X(I32X4_ADD,                    "i32x4.add",                       0xfd, 0xae, NONE,        vv_v,    0)  \
    X(I32X4_SUB,                    "i32x4.sub",                       0xfd, 0xb1, NONE,        vv_v,    0)  \
    X(I32X4_MUL,                    "i32x4.mul",                       0xfd, 0xb5, NONE,        vv_v,    0)  \
    X(I32X4_MIN_S,                  "i32x4.min_s",                     0xfd, 0xb6, NONE,        vv_v,    0)  \
    X(I32X4_MIN_U,                  "i32x4.min_u",                     0xfd, 0xb7, NONE,        vv_v,    0)  \
    X(I32X4_MAX_S,                  "i32x4.max_s",                     0xfd, 0xb8, NONE,        vv_v,    0)  \
    X(I32X4_MAX_U,                  "i32x4.max_u",                     0xfd, 0xb9, NONE,        vv_v,    0)  \
    X(I32X4_DOT_I16X8_S,            "i32x4.dot_i16x8_s",               0xfd, 0xba, NONE,        vv_v,    0)  \
    X(I32X4_EXTMUL_LOW_I16X8_S,     "i32x4.extmul_low_i16x8_s",        0xfd, 0xbc, NONE,        vv_v,    0)  \
    X(I32X4_EXTMUL_HIGH_I16X8_S,    "i32x4.extmul_high_i16x8_s",       0xfd, 0xbd, NONE,        vv_v,    0)  \
    X(I32X4_EXTMUL_LOW_I16X8_U,     "i32x4.extmul_low_i16x8_u",        0xfd, 0xbe, NONE,        vv_v,    0)  \
    X(I32X4_EXTMUL_HIGH_I16X8_U,    "i32x4.extmul_high_i16x8_u",       0xfd, 0xbf, NONE,        vv_v,    0)  \
    X(I64X2_ABS,                    "i64x2.abs",                       0xfd, 0xc0, NONE,        v_v,     0)  \
    X(I64X2_NEG,                    "i64x2.neg",                       0xfd, 0xc1, NONE,        v_v,     0)  \
    X(I64X2_ALL_TRUE,               "i64x2.all_true",                  0xfd, 0xc3, NONE,        v_i,     0)  \
    X(I64X2_BITMASK,                "i64x2.bitmask",                   0xfd, 0xc4, NONE,        v_i,     0)  \
    X(I64X2_EXTEND_LOW_I32X4_S,     "i64x2.extend_low_i32x4_s",        0xfd, 0xc7, NONE,        v_v,     0)  \
    X(I64X2_EXTEND_HIGH_I32X4_S,    "i64x2.extend_high_i32x4_s",       0xfd, 0xc8, NONE,        v_v,     0)  \
    X(I64X2_EXTEND_LOW_I32X4_U,     "i64x2.extend_low_i32x4_u",        0xfd, 0xc9, NONE,        v_v,     0)  \
    X(I64X2_EXTEND_HIGH_I32X4_U,    "i64x2.extend_high_i32x4_u",       0xfd, 0xca, NONE,        v_v,     0)  \
    X(I64X2_SHL,                    "i64x2.shl",                       0xfd, 0xcb, NONE,        vi_v,    0)  \
    X(I64X2_SHR_S,                  "i64x2.shr_s",                     0xfd, 0xcc, NONE,        vi_v,    0)  \
    X(I64X2_SHR_U,                  "i64x2.shr_u",                     0xfd, 0xcd, NONE,        vi_v,    0)  \
    X(I64X2_ADD,                    "i64x2.add",                       0xfd, 0xce, NONE,        vv_v,    0)  \
    X(I64X2_SUB,                    "i64x2.sub",                       0xfd, 0xd1, NONE,        vv_v,    0)  \
    X(I64X2_MUL,                    "i64x2.mul",                       0xfd, 0xd5, NONE,        vv_v,    0)  \
    X(I64X2_EQ,                     "i64x2.eq",                        0xfd, 0xd6, NONE,        vv_v,    0)  \
    X(I64X2_NE,                     "i64x2.ne",                        0xfd, 0xd7, NONE,        vv_v,    0)  \
    X(I64X2_LT_S,                   "i64x2.lt_s",                      0xfd, 0xd8, NONE,        vv_v,    0)  \
    X(I64X2_GT_S,                   "i64x2.gt_s",                      0xfd, 0xd9, NONE,        vv_v,    0)  \
    X(I64X2_LE_S,                   "i64x2.le_s",                      0xfd, 0xda, NONE,        vv_v,    0)  \
    X(I64X2_GE_S,                   "i64x2.ge_s",                      0xfd, 0xdb, NONE,        vv_v,    0)  \
    X(I64X2_EXTMUL_LOW_I32X4_S,     "i64x2.extmul_low_i32x4_s",        0xfd, 0xdc, NONE,        vv_v,    0)  \
    X(I64X2_EXTMUL_HIGH_I32X4_S,    "i64x2.extmul_high_i32x4_s",       0xfd, 0xdd, NONE,        vv_v,    0)  \
    X(I64X2_EXTMUL_LOW_I32X4_U,     "i64x2.extmul_low_i32x4_u",        0xfd, 0xde, NONE,        vv_v,    0)  \
    X(I64X2_EXTMUL_HIGH_I32X4_U,    "i64x2.extmul_high_i32x4_u",       0xfd, 0xdf, NONE,        vv_v,    0)  \
    X(F32X4_ABS,                    "f32x4.abs",                       0xfd, 0xe0, NONE,        v_v,     0)  \
    X(F32X4_NEG,                    "f32x4.neg",                       0xfd, 0xe1, NONE,        v_v,     0)  \
    X(F32X4_SQRT,                   "f32x4.sqrt",                      0xfd, 0xe3, NONE,        v_v,     0)  \
    X(F32X4_ADD,                    "f32x4.add",                       0xfd, 0xe4, NONE,        vv_v,    0)  \
    X(F32X4_SUB,                    "f32x4.sub",                       0xfd, 0xe5, NONE,        vv_v,    0)  \
    X(F32X4_MUL,                    "f32x4.mul",                       0xfd, 0xe6, NONE,        vv_v,    0)  \
    X(F32X4_DIV,                    "f32x4.div",                       0xfd, 0xe7, NONE,        vv_v,    0)  \
    X(F32X4_MIN,                    "f32x4.min",                       0xfd, 0xe8, NONE,        vv_v,    0)  \
    X(F32X4_MAX,                    "f32x4.max",                       0xfd, 0xe9, NONE,        vv_v,    0)  \
    X(F32X4_PMIN,                   "f32x4.pmin",                      0xfd, 0xea, NONE,        vv_v,    0)  \
    X(F32X4_PMAX,                   "f32x4.pmax",                      0xfd, 0xeb, NONE,        vv_v,    0)  \
    X(F64X2_ABS,                    "f64x2.abs",                       0xfd, 0xec, NONE,        v_v,     0)  \
    X(F64X2_NEG,                    "f64x2.neg",                       0xfd, 0xed, NONE,        v_v,     0)  \
    X(F64X2_SQRT,                   "f64x2.sqrt",                      0xfd, 0xef, NONE,        v_v,     0)  \
    X(F64X2_ADD,                    "f64x2.add",                       0xfd, 0xf0, NONE,        vv_v,    0)  \
    X(F64X2_SUB,                    "f64x2.sub",                       0xfd, 0xf1, NONE,        vv_v,    0)  \
    X(F64X2_MUL,                    "f64x2.mul",                       0xfd, 0xf2, NONE,        vv_v,    0)  \
    X(F64X2_DIV,                    "f64x2.div",                       0xfd, 0xf3, NONE,        vv_v,    0)  \
    X(F64X2_MIN,                    "f64x2.min",                       0xfd, 0xf4, NONE,        vv_v,    0)  \
    X(F64X2_MAX,                    "f64x2.max",                       0xfd, 0xf5, NONE,        vv_v,    0)  \
    X(F64X2_PMIN,                   "f64x2.pmin",                      0xfd, 0xf6, NONE,        vv_v,    0)  \
    X(F64X2_PMAX,                   "f64x2.pmax",                      0xfd, 0xf7, NONE,        vv_v,    0)  \
    X(I32X4_TRUNC_SAT_F32X4_S,      "i32x4.trunc_sat_f32x4_s",         0xfd, 0xf8, NONE,        v_v,     0)  \
    X(I32X4_TRUNC_SAT_F32X4_U,      "i32x4.trunc_sat_f32x4_u",         0xfd, 0xf9, NONE,        v_v,     0)  \
    X(F32X4_CONVERT_I32X4_S,        "f32x4.convert_i32x4_s",           0xfd, 0xfa, NONE,        v_v,     0)  \
    X(F32X4_CONVERT_I32X4_U,        "f32x4.convert_i32x4_u",           0xfd, 0xfb, NONE,        v_v,     0)  \
    X(I32X4_TRUNC_SAT_F64X2_S_ZERO, "i32x4.trunc_sat_f64x2_s_zero",    0xfd, 0xfc, NONE,        v_v,     0)  \
    X(I32X4_TRUNC_SAT_F64X2_U_ZERO, "i32x4.trunc_sat_f64x2_u_zero",    0xfd, 0xfd, NONE,        v_v,     0)  \
    X(F64X2_CONVERT_LOW_I32X4_S,    "f64x2.convert_low_i32x4_s",       0xfd, 0xfe, NONE,        v_v,     0)  \
    X(F64X2_CONVERT_LOW_I32X4_U,    "f64x2.convert_low_i32x4_u",       0xfd, 0xff, NONE,        v_v,     0)

// clang-format on

enum wasm_op {
#define X(name, text, prefix, code, imm, sig, align) OP_##name,
    WASM_OPCODES(X)
#undef X
        OP_COUNT, /* also: not an operator */
};

enum wasm_imm {
#define X(name) IMM_##name,
    WASM_IMM_TABLE(X)
#undef X
        IMM_COUNT,
};

struct wasm_op_info {
    const char *text;
    const char *sig; /* as written in the table; "SPECIAL" included */
    uint8_t prefix, code;
    uint8_t imm;   /* enum wasm_imm */
    uint8_t align; /* log2 */
};

extern const struct wasm_op_info wasm_op_infos[OP_COUNT];

/* OP_COUNT minus the operator, so that what is not listed, 0, reads as OP_COUNT. */
extern const uint16_t wasm_op_codes_00[256], wasm_op_codes_fc[32], wasm_op_codes_fd[256];

/* The operator of a one-byte code (the prefixes themselves are none). */
static inline enum wasm_op wasm_op_of_byte(uint8_t code) {
    return (enum wasm_op)(OP_COUNT - wasm_op_codes_00[code]);
}

/* The operator of the code after a prefix byte; OP_COUNT when there is none. */
static inline enum wasm_op wasm_op_of(uint8_t prefix, uint32_t code) {
    switch (prefix) {
    case 0x00: return code < 256 ? wasm_op_of_byte((uint8_t)code) : OP_COUNT;
    case 0xfc: return code < 32 ? (enum wasm_op)(OP_COUNT - wasm_op_codes_fc[code]) : OP_COUNT;
    case 0xfd: return code < 256 ? (enum wasm_op)(OP_COUNT - wasm_op_codes_fd[code]) : OP_COUNT;
    default: return OP_COUNT;
    }
}

#endif
