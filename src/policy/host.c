#include "policy/internal.h"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Would some resolver read a name with this last label as an address? */
static bool is_number(const char *label) {
    const char *p = label;
    if (p[0] == '0' && p[1] == 'x') {
        for (p += 2; is_digit(*p) || (*p >= 'a' && *p <= 'f'); p++)
            ;
        return !*p;
    }
    while (is_digit(*p))
        p++;
    return !*p;
}

bool host_normal(const char *text, char out[HOST_MAX], const char **why) {
    const char *reason = NULL;
    char name[HOST_MAX];
    size_t n = strlen(text), label = 0;
    if (n && text[n - 1] == '.')
        n--;
    if (n == 0)
        reason = "it is empty";
    else if (n >= HOST_MAX)
        reason = "it is longer than 253 characters";
    for (size_t i = 0; i < n && !reason; i++) {
        char c = text[i];
        name[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        c = name[i];
        if (c == '.') {
            if (i == label)
                reason = "it has an empty part";
            label = i + 1;
        } else if ((unsigned char)c >= 0x80) {
            reason = "write international names in their ASCII form, xn--...";
        } else if (!(c >= 'a' && c <= 'z') && !is_digit(c) && c != '-' && c != '_') {
            reason = "it has characters beyond letters, digits, '-', '_' and '.'";
        } else if (i - label >= 63) {
            reason = "a part of it is longer than 63 characters";
        }
    }
    if (!reason && label == n)
        reason = "it has an empty part";
    if (!reason) {
        name[n] = 0;
        if (is_number(name + label))
            reason = "it looks like an address, and addresses are written as 192.0.2.1 or 2001:db8::1";
    }
    if (reason) {
        if (why)
            *why = reason;
        return false;
    }
    memcpy(out, name, n + 1);
    return true;
}

bool host_is_local(const char *name) {
    static const char local[] = "localhost";
    size_t n = strlen(name), nlocal = sizeof local - 1;
    return n >= nlocal && !strcmp(name + n - nlocal, local) && (n == nlocal || name[n - nlocal - 1] == '.');
}

bool path_is_plain(const char *path) {
    if (path[0] != '/')
        return false;
    while (*path) {
        const char *part = path + 1;
        size_t n = strcspn(part, "/");
        if (n == 0 || (part[0] == '.' && (n == 1 || (n == 2 && part[1] == '.'))))
            return false;
        path = part + n;
    }
    return true;
}
