// Values of the test scripts: numbers as decimal bits, vectors as lanes, references as numbers or "null".

#include "spec.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    enum wasm_type type;
} types[] = {
    {"i32", WASM_I32},
    {"i64", WASM_I64},
    {"f32", WASM_F32},
    {"f64", WASM_F64},
    {"v128", WASM_V128},
    {"funcref", WASM_FUNCREF},
    {"externref", WASM_EXTERNREF},
};

static bool type_from_json(const json_t *j, enum wasm_type *type) {
    const char *name = json_string_value(json_object_get(j, "type"));
    for (size_t i = 0; name && i < sizeof types / sizeof *types; i++)
        if (strcmp(name, types[i].name) == 0) {
            *type = types[i].type;
            return true;
        }
    return false;
}

// Bytes of a lane: "i8", "f64", ...; 0 when it is not one.
static unsigned lane_bytes(const json_t *j) {
    const char *lane = json_string_value(json_object_get(j, "lane_type"));
    return lane ? (unsigned)atoi(lane + 1) / 8 : 0;
}

static bool bits_from_text(const char *text, uint64_t *bits) {
    char *end;
    if (!text || !*text)
        return false;
    *bits = strtoull(text, &end, 10);
    return *end == 0;
}

static bool v128_from_json(const json_t *j, uint8_t out[16]) {
    unsigned bytes = lane_bytes(j);
    const json_t *lanes = json_object_get(j, "value");
    if (bytes == 0 || json_array_size(lanes) != 16 / bytes)
        return false;
    for (unsigned i = 0; i < 16 / bytes; i++) {
        uint64_t bits;
        if (!bits_from_text(json_string_value(json_array_get(lanes, i)), &bits))
            return false;
        memcpy(out + i * bytes, &bits, bytes);
    }
    return true;
}

bool value_from_json(const json_t *j, enum wasm_type *type, union wasm_value *v) {
    memset(v, 0, sizeof *v);
    if (!type_from_json(j, type))
        return false;
    if (*type == WASM_V128)
        return v128_from_json(j, v->v128);
    const char *text = json_string_value(json_object_get(j, "value"));
    bool is_ref = *type == WASM_FUNCREF || *type == WASM_EXTERNREF;
    if (is_ref && text && strcmp(text, "null") == 0)
        return true;
    uint64_t bits;
    if (!bits_from_text(text, &bits) || *type == WASM_FUNCREF)
        return false;
    v->slot[0] = is_ref ? bits + 1 : bits; // the script's host reference 0 is not null
    return true;
}

static bool float_matches(const char *text, uint64_t bits, unsigned bytes) {
    uint64_t magnitude = bytes == 4 ? 0x7fffffff : 0x7fffffffffffffff;
    uint64_t quiet = bytes == 4 ? 0x7fc00000 : 0x7ff8000000000000;
    if (strcmp(text, "nan:canonical") == 0)
        return (bits & magnitude) == quiet;
    if (strcmp(text, "nan:arithmetic") == 0)
        return (bits & quiet) == quiet;
    uint64_t want;
    return bits_from_text(text, &want) && want == bits;
}

static bool v128_matches(const json_t *expected, const uint8_t v[16]) {
    unsigned bytes = lane_bytes(expected);
    const json_t *lanes = json_object_get(expected, "value");
    if (bytes == 0 || json_array_size(lanes) != 16 / bytes)
        return false;
    for (unsigned i = 0; i < 16 / bytes; i++) {
        const char *text = json_string_value(json_array_get(lanes, i));
        uint64_t bits = 0;
        memcpy(&bits, v + i * bytes, bytes);
        if (!text || !float_matches(text, bits, bytes)) // integer lanes are just never written as NaNs
            return false;
    }
    return true;
}

bool value_matches(const json_t *expected, enum wasm_type type, const union wasm_value *v) {
    enum wasm_type want_type;
    union wasm_value want;
    if (!type_from_json(expected, &want_type) || want_type != type)
        return false;
    const char *text = json_string_value(json_object_get(expected, "value"));
    switch (type) {
    case WASM_V128: return v128_matches(expected, v->v128);
    case WASM_F32: return text && float_matches(text, v->i32, 4);
    case WASM_F64: return text && float_matches(text, v->i64, 8);
    case WASM_I32: return value_from_json(expected, &want_type, &want) && want.i32 == v->i32;
    default: return value_from_json(expected, &want_type, &want) && want.i64 == v->i64;
    }
}

void value_print(char *out, size_t size, enum wasm_type type, const union wasm_value *v) {
    if (type == WASM_V128)
        snprintf(out, size, "v128:%016llx%016llx", (unsigned long long)v->slot[1], (unsigned long long)v->slot[0]);
    else if (type == WASM_I32 || type == WASM_F32)
        snprintf(out, size, "%s:0x%x", wasm_type_name(type), v->i32);
    else
        snprintf(out, size, "%s:0x%llx", wasm_type_name(type), (unsigned long long)v->i64);
}
