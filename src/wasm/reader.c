// The cold half of reader.h, and UTF-8.

#include "wasm/reader.h"

#include <stdarg.h>
#include <stdio.h>

void reader_fail(struct reader *r, const uint8_t *at, enum status s, const char *fmt, ...) {
    if (r->status != ST_OK)
        return;
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    r->status = err_set(r->e, s, "offset 0x%zx: %s", (size_t)(at - r->file), text);
    r->p = r->end;
}

const char *leb_error(const uint8_t *p, const uint8_t *end, unsigned bits) {
    for (unsigned shift = 0; shift < bits; shift += 7) {
        if (p == end)
            return "unexpected end inside an integer";
        if (!(*p++ & 0x80))
            return "integer too large";
    }
    return "integer representation too long";
}

// Strictly as Unicode defines it: shortest form, no surrogates, nothing above U+10FFFF.
bool utf8_valid(struct span s) {
    const uint8_t *p = s.data, *end = p + s.size;
    while (p < end) {
        if (end - p >= 8 && !(get_u64(p) & 0x8080808080808080u)) {
            p += 8;
            continue;
        }
        uint8_t b = *p++;
        if (b < 0x80)
            continue;
        int more = b >= 0xf0 ? 3 : b >= 0xe0 ? 2 : 1;
        if (b < 0xc2 || b > 0xf4 || end - p < more)
            return false;
        // the second byte alone decides about overlong forms, surrogates and the upper end
        uint8_t low = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
        uint8_t high = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
        if (*p < low || *p > high)
            return false;
        for (int i = 1; i < more; i++)
            if ((p[i] & 0xc0) != 0x80)
                return false;
        p += more;
    }
    return true;
}
