// The form of a body alone, types aside. A module whose bytes are not the binary format is malformed even where it
// would also be invalid; so when a body fails validation, the rest is looked at with this before the failure is named.

#include "wasm/validate.h"

static void skip_u32s(struct reader *r, int n) {
    while (n--)
        read_u32(r);
}

static void skip_block_type(struct reader *r) {
    const uint8_t *at = r->p;
    if (r->p < r->end && (*r->p == 0x40 || is_valtype(*r->p)))
        r->p++;
    else if (read_signed(r, 33) < 0)
        reader_fail(r, at, ST_MALFORMED, "malformed block type");
}

static void skip_types(struct reader *r) {
    uint32_t n = read_count(r, 1);
    while (n-- && r->status == ST_OK) {
        const uint8_t *at = r->p;
        if (!is_valtype(read_byte(r)))
            reader_fail(r, at, ST_MALFORMED, "malformed value type");
    }
}

static void skip_memory(struct reader *r) {
    const uint8_t *at = r->p;
    if (read_byte(r) != 0)
        reader_fail(r, at, ST_MALFORMED, "zero byte expected");
}

void validate_skip_immediates(struct reader *r, enum wasm_imm imm) {
    const uint8_t *at = r->p;
    switch (imm) {
    case IMM_NONE:
    case IMM_TRAPS: break;
    case IMM_BLOCK: skip_block_type(r); break;
    case IMM_LABELS: skip_u32s(r, (int)read_count(r, 1) + 1); break;
    case IMM_SELECT_T: skip_types(r); break;
    case IMM_LABEL:
    case IMM_FUNC:
    case IMM_LOCAL:
    case IMM_GLOBAL:
    case IMM_TABLE:
    case IMM_DATA:
    case IMM_ELEM: skip_u32s(r, 1); break;
    case IMM_INDIRECT:
    case IMM_TABLE2:
    case IMM_ELEM_TABLE:
    case IMM_LOAD:
    case IMM_STORE: skip_u32s(r, 2); break;
    case IMM_LOAD_LANE:
    case IMM_STORE_LANE:
        skip_u32s(r, 2);
        read_byte(r);
        break;
    case IMM_DATA_MEMORY: skip_u32s(r, 1); /* fall through */
    case IMM_MEMORY: skip_memory(r); break;
    case IMM_MEMORY2:
        skip_memory(r);
        skip_memory(r);
        break;
    case IMM_CONST_I32: read_signed(r, 32); break;
    case IMM_CONST_I64: read_signed(r, 64); break;
    case IMM_CONST_F32: read_bytes(r, 4); break;
    case IMM_CONST_F64: read_bytes(r, 8); break;
    case IMM_CONST_V128:
    case IMM_SHUFFLE: read_bytes(r, 16); break;
    case IMM_REFTYPE:
        if (!is_reftype(read_byte(r)))
            reader_fail(r, at, ST_MALFORMED, "malformed reference type");
        break;
    case IMM_LANE: read_byte(r); break;
    case IMM_COUNT: must(!"not an immediate");
    }
}

// What WebAssembly beyond our part of it an operator belongs to, or NULL.
static const char *feature_of(uint8_t byte, uint32_t code) {
    if ((byte >= 0x06 && byte <= 0x0a) || byte == 0x18 || byte == 0x19 || byte == 0x1f)
        return "exceptions";
    if (byte == 0x14 || byte == 0x15 || (byte >= 0xd3 && byte <= 0xd6))
        return "typed references";
    if (byte == 0xfd && code >= 0x100 && code <= 0x113)
        return "relaxed SIMD";
    return byte == 0xfb ? "garbage collection" : byte == 0xfe ? "threads" : NULL;
}

void validate_illegal(struct reader *r, const uint8_t *at) {
    if (r->status != ST_OK)
        return;
    uint32_t code = 0;
    bool prefix = *at >= 0xfb && *at <= 0xfe && leb_u32(at + 1, r->end, &code);
    const char *feature = feature_of(*at, code);
    if (feature)
        reader_fail(r, at, ST_UNSUPPORTED, "opcode 0x%02x belongs to %s, which is not supported", *at, feature);
    else if (prefix)
        reader_fail(r, at, ST_MALFORMED, "illegal opcode 0x%02x 0x%02x", *at, code);
    else
        reader_fail(r, at, ST_MALFORMED, "illegal opcode 0x%02x", *at);
}

void validate_scan(struct reader *r) {
    uint32_t depth = 1; // the body itself
    while (depth && r->status == ST_OK) {
        const uint8_t *at = r->p;
        enum wasm_op op = read_operator(r);
        if (op == OP_COUNT)
            validate_illegal(r, at);
        else
            validate_skip_immediates(r, (enum wasm_imm)wasm_op_infos[op].imm);
        depth += op == OP_BLOCK || op == OP_LOOP || op == OP_IF;
        depth -= op == OP_END;
    }
    if (r->status == ST_OK && r->p != r->end)
        reader_fail(r, r->p, ST_MALFORMED, "%zu bytes after the end of the body", reader_left(r));
}
