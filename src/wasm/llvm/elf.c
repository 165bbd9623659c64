/* elf.c: a linker for one file.
 *
 * What LLVM emits for one module, small code model, position-independent: .text*, constants in .rodata* that the code
 * reaches relative to its own address, tables of jumps in .rodata* relative to themselves.  All of it becomes one text,
 * code first; the rest (unwinding tables, notes, names) is dropped. */
#include "wasm/llvm/elf.h"

#include "base/must.h"

#include <elf.h>
#include <stdlib.h>

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#else
enum { MACHINE = EM_NONE };
#endif

enum { ALIGN_MAX = 4096 };

struct section {
    Elf64_Shdr head;
    bool kept;
    uint64_t at; /* in the text */
};

struct linker {
    struct span elf;
    struct section *sections;
    uint32_t nsections;
    struct span symbols, names; /* the symbol table, and its strings */
    uint32_t nsymbols;
    struct buf text;
    struct err *e;
};

static bool within(struct span s, uint64_t at, uint64_t size) {
    return at <= s.size && size <= s.size - at;
}

/* A string of a string table, or NULL when it is not inside. */
static const char *string_at(struct span table, uint64_t at) {
    if (at >= table.size || !memchr(table.data + at, 0, table.size - at))
        return NULL;
    return (const char *)table.data + at;
}

static struct span section_bytes(const struct linker *l, const struct section *s) {
    return SPAN(l->elf.data + s->head.sh_offset, s->head.sh_size);
}

static bool starts(const char *name, const char *with) {
    return strncmp(name, with, strlen(with)) == 0;
}

/* ---- sections ------------------------------------------------------------------------------------------------------
 */

/* Is it part of the text? Refuses what the text cannot have. */
static enum status judge(struct linker *l, struct section *s, const char *name) {
    const Elf64_Shdr *h = &s->head;
    if (!(h->sh_flags & SHF_ALLOC) || h->sh_size == 0 || h->sh_type == SHT_NOTE)
        return ST_OK;
    if (starts(name, ".eh_frame") || starts(name, ".note") || starts(name, ".llvm_") ||
        starts(name, ".gcc_except_table"))
        return ST_OK;
    /* Constants that hold addresses lie in .data.rel.ro, formally writable; the relocations are looked at later. */
    bool is_code = starts(name, ".text") && (h->sh_flags & SHF_EXECINSTR);
    bool is_constant = starts(name, ".rodata") || starts(name, ".data.rel.ro");
    if (h->sh_type != SHT_PROGBITS || (!is_code && !is_constant) || (h->sh_flags & (SHF_TLS | SHF_COMPRESSED)))
        return err_set(l->e, ST_UNSUPPORTED, "compiled code has a section %.64s, which is neither code nor constants",
                       name);
    if ((h->sh_flags & SHF_WRITE) && !starts(name, ".data.rel.ro"))
        return err_set(l->e, ST_UNSUPPORTED, "compiled code has variables (section %.64s)", name);
    s->kept = true;
    return ST_OK;
}

static enum status read_sections(struct linker *l) {
    Elf64_Ehdr h;
    if (l->elf.size < sizeof h)
        goto malformed;
    memcpy(&h, l->elf.data, sizeof h);
    if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || h.e_ident[EI_CLASS] != ELFCLASS64 ||
        h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_type != ET_REL || h.e_shentsize != sizeof(Elf64_Shdr) ||
        h.e_shnum == 0 || !within(l->elf, h.e_shoff, (uint64_t)h.e_shnum * sizeof(Elf64_Shdr)) ||
        h.e_shstrndx >= h.e_shnum)
        goto malformed;
    if (MACHINE == EM_NONE || h.e_machine != MACHINE)
        return err_set(l->e, ST_MALFORMED, "code for another machine (ELF number %u)", h.e_machine);
    l->nsections = h.e_shnum;
    l->sections = mem_zalloc(l->nsections * sizeof *l->sections);
    for (uint32_t i = 0; i < l->nsections; i++) {
        struct section *s = &l->sections[i];
        memcpy(&s->head, l->elf.data + h.e_shoff + (uint64_t)i * sizeof s->head, sizeof s->head);
        if (s->head.sh_type != SHT_NOBITS && s->head.sh_type != SHT_NULL &&
            !within(l->elf, s->head.sh_offset, s->head.sh_size))
            goto malformed;
    }
    const struct section *strings = &l->sections[h.e_shstrndx];
    if (strings->head.sh_type != SHT_STRTAB)
        goto malformed;
    for (uint32_t i = 1; i < l->nsections; i++) {
        const char *name = string_at(section_bytes(l, strings), l->sections[i].head.sh_name);
        if (!name)
            goto malformed;
        enum status st = judge(l, &l->sections[i], name);
        if (st)
            return st;
    }
    return ST_OK;
malformed:
    return err_set(l->e, ST_MALFORMED, "what LLVM made is not a relocatable ELF64 file");
}

static enum status read_symbols(struct linker *l) {
    for (uint32_t i = 1; i < l->nsections; i++) {
        const struct section *s = &l->sections[i];
        if (s->head.sh_type == SHT_SYMTAB_SHNDX)
            return err_set(l->e, ST_UNSUPPORTED, "compiled code has too many sections");
        if (s->head.sh_type != SHT_SYMTAB)
            continue;
        if (l->symbols.data || s->head.sh_link >= l->nsections || s->head.sh_entsize != sizeof(Elf64_Sym) ||
            l->sections[s->head.sh_link].head.sh_type != SHT_STRTAB || s->head.sh_size / sizeof(Elf64_Sym) > UINT32_MAX)
            return err_set(l->e, ST_MALFORMED, "the symbol table of compiled code is damaged");
        l->symbols = section_bytes(l, s);
        l->nsymbols = (uint32_t)(s->head.sh_size / sizeof(Elf64_Sym));
        l->names = section_bytes(l, &l->sections[s->head.sh_link]);
    }
    if (!l->nsymbols)
        return err_set(l->e, ST_MALFORMED, "compiled code has no symbols");
    return ST_OK;
}

static enum status lay_out(struct linker *l, bool code) {
    for (uint32_t i = 1; i < l->nsections; i++) {
        struct section *s = &l->sections[i];
        if (!s->kept || code != ((s->head.sh_flags & SHF_EXECINSTR) != 0))
            continue;
        uint64_t align = s->head.sh_addralign ? s->head.sh_addralign : 1;
        if (align > ALIGN_MAX || (align & (align - 1)))
            return err_set(l->e, ST_UNSUPPORTED, "compiled code wants an alignment of %llu bytes",
                           (unsigned long long)align);
        while (l->text.size % align)
            if (!buf_byte(&l->text, code ? 0xcc : 0))
                break;
        s->at = l->text.size;
        struct span bytes = section_bytes(l, s);
        if (!buf_append(&l->text, bytes.data, bytes.size))
            return err_set(l->e, ST_LIMIT, "compiled code is larger than the file it is in");
    }
    return ST_OK;
}

/* ---- symbols -------------------------------------------------------------------------------------------------------
 */

static Elf64_Sym symbol(const struct linker *l, uint32_t i) {
    Elf64_Sym s;
    memcpy(&s, l->symbols.data + (size_t)i * sizeof s, sizeof s);
    return s;
}

static const char *symbol_name(const struct linker *l, const Elf64_Sym *s) {
    const char *name = string_at(l->names, s->st_name);
    return name && *name ? name : "without a name";
}

/* Where a symbol lies in the text; only of one that is used. */
static enum status symbol_address(struct linker *l, uint32_t index, uint64_t *out) {
    if (index >= l->nsymbols)
        return err_set(l->e, ST_MALFORMED, "compiled code refers to a symbol beyond its table");
    Elf64_Sym s = symbol(l, index);
    if (s.st_shndx == SHN_UNDEF)
        return err_set(l->e, ST_UNLINKABLE, "compiled code wants the symbol %.64s, which nobody defines",
                       symbol_name(l, &s));
    if (s.st_shndx >= l->nsections || !l->sections[s.st_shndx].kept)
        return err_set(l->e, ST_UNSUPPORTED, "compiled code refers to %.64s, which is not part of its text",
                       symbol_name(l, &s));
    const struct section *in = &l->sections[s.st_shndx];
    if (s.st_value > in->head.sh_size)
        return err_set(l->e, ST_MALFORMED, "the symbol %.64s lies outside of its section", symbol_name(l, &s));
    *out = in->at + s.st_value;
    return ST_OK;
}

/* ---- relocations ---------------------------------------------------------------------------------------------------
 */

/* Where a relocation applies, and what it wants there. */
struct fix {
    uint64_t section; /* where the section begins in the text */
    uint64_t place;   /* from the text's start */
    uint64_t room;    /* bytes from there to the end of the section */
    uint64_t target;  /* the symbol */
    int64_t addend;
};

static bool is_narrow(int64_t v) {
    return v >= INT32_MIN && v <= INT32_MAX;
}

#if defined(__x86_64__)

/* Loads through a table of addresses, as compilers emit them for what might lie in another library, become what they
 * would have been without it: `mov sym(%rip)` a lea, calls and jumps direct ones. */
static bool relax(uint8_t *text, const struct fix *f, int64_t value) {
    uint64_t before = f->place - f->section;
    if (f->addend != -4 || before < 2)
        return false;
    uint8_t *op = text + f->place - 2;
    if (op[0] == 0x8b && (op[1] & 0xc7) == 0x05) {
        op[0] = 0x8d;
        put_u32(text + f->place, (uint32_t)value);
    } else if (op[0] == 0xff && op[1] == 0x15) { /* call *: a prefix and a call */
        op[0] = 0x67;
        op[1] = 0xe8;
        put_u32(text + f->place, (uint32_t)value);
    } else if (op[0] == 0xff && op[1] == 0x25) { /* jmp *: a jump, one byte earlier, and a byte that is never run */
        op[0] = 0xe9;
        put_u32(op + 1, (uint32_t)(value + 1));
        op[5] = 0xcc;
    } else {
        return false;
    }
    return true;
}

/* False: not a relocation that a text without addresses can have; sets *fits when it is only out of reach. */
static bool apply(uint8_t *text, uint32_t type, const struct fix *f, bool *fits) {
    int64_t value = (int64_t)(f->target + (uint64_t)f->addend - f->place);
    *fits = type == R_X86_64_NONE ||
            (f->room >= (type == R_X86_64_PC64 ? 8 : 4) && (type == R_X86_64_PC64 || is_narrow(value)));
    switch (type) {
    case R_X86_64_NONE: return true;
    case R_X86_64_PC32:
    case R_X86_64_PLT32:
        if (*fits)
            put_u32(text + f->place, (uint32_t)value);
        return true;
    case R_X86_64_PC64:
        if (*fits)
            put_u64(text + f->place, (uint64_t)value);
        return true;
    case R_X86_64_GOTPCRELX:
    case R_X86_64_REX_GOTPCRELX: return !*fits || relax(text, f, value);
    default: return false;
    }
}

#elif defined(__aarch64__)

/* Fields of instructions: `bits` of value >> shift, placed at `at`. */
static bool field(uint8_t *p, int64_t value, unsigned shift, unsigned bits, unsigned at) {
    int64_t scaled = value >> shift;
    if ((value & ((1 << shift) - 1)) || scaled < -((int64_t)1 << (bits - 1)) || scaled >= (int64_t)1 << (bits - 1))
        return false;
    uint32_t mask = ((1u << bits) - 1) << at;
    put_u32(p, (get_u32(p) & ~mask) | (((uint32_t)scaled << at) & mask));
    return true;
}

/* adr and adrp: 21 bits, the low two apart. */
static bool adr_field(uint8_t *p, int64_t value) {
    if (value < -(1 << 20) || value >= 1 << 20)
        return false;
    uint32_t v = (uint32_t)value & 0x1fffff;
    put_u32(p, (get_u32(p) & ~0x60ffffe0u) | (v & 3) << 29 | (v >> 2) << 5);
    return true;
}

/* The low twelve bits of an address: the text begins at a page, so they are those of the offset. */
static bool low_field(uint8_t *p, uint64_t address, unsigned shift) {
    uint32_t low = (uint32_t)address & 0xfff;
    if (low & ((1u << shift) - 1))
        return false;
    put_u32(p, (get_u32(p) & ~(0xfffu << 10)) | (low >> shift) << 10);
    return true;
}

static bool apply(uint8_t *text, uint32_t type, const struct fix *f, bool *fits) {
    uint8_t *p = text + f->place;
    uint64_t address = f->target + (uint64_t)f->addend;
    int64_t value = (int64_t)(address - f->place);
    *fits = false;
    if (type == R_AARCH64_NONE)
        return *fits = true;
    if (f->room < (type == R_AARCH64_PREL64 ? 8 : 4))
        return true;
    switch (type) {
    case R_AARCH64_PREL64: put_u64(p, (uint64_t)value); return *fits = true;
    case R_AARCH64_PREL32:
        *fits = is_narrow(value);
        put_u32(p, (uint32_t)value);
        return true;
    case R_AARCH64_CALL26:
    case R_AARCH64_JUMP26: *fits = field(p, value, 2, 26, 0); return true;
    case R_AARCH64_CONDBR19:
    case R_AARCH64_LD_PREL_LO19: *fits = field(p, value, 2, 19, 5); return true;
    case R_AARCH64_TSTBR14: *fits = field(p, value, 2, 14, 5); return true;
    case R_AARCH64_ADR_PREL_LO21: *fits = adr_field(p, value); return true;
    case R_AARCH64_ADR_PREL_PG_HI21:
        *fits = adr_field(p, (int64_t)(address & ~(uint64_t)0xfff) / 4096 - (int64_t)(f->place / 4096));
        return true;
    case R_AARCH64_ADD_ABS_LO12_NC:
    case R_AARCH64_LDST8_ABS_LO12_NC: *fits = low_field(p, address, 0); return true;
    case R_AARCH64_LDST16_ABS_LO12_NC: *fits = low_field(p, address, 1); return true;
    case R_AARCH64_LDST32_ABS_LO12_NC: *fits = low_field(p, address, 2); return true;
    case R_AARCH64_LDST64_ABS_LO12_NC: *fits = low_field(p, address, 3); return true;
    case R_AARCH64_LDST128_ABS_LO12_NC: *fits = low_field(p, address, 4); return true;
    default: return false;
    }
}

#else

static bool apply(uint8_t *text, uint32_t type, const struct fix *f, bool *fits) {
    (void)text, (void)type, (void)f;
    return *fits = false;
}

#endif

static enum status relocate_section(struct linker *l, const struct section *relocations, const struct section *s) {
    struct span bytes = section_bytes(l, relocations);
    if (relocations->head.sh_entsize != sizeof(Elf64_Rela) || bytes.size % sizeof(Elf64_Rela))
        return err_set(l->e, ST_MALFORMED, "the relocations of compiled code are damaged");
    for (size_t i = 0; i < bytes.size; i += sizeof(Elf64_Rela)) {
        Elf64_Rela r;
        memcpy(&r, bytes.data + i, sizeof r);
        uint32_t type = (uint32_t)ELF64_R_TYPE(r.r_info), index = (uint32_t)ELF64_R_SYM(r.r_info);
        if (r.r_offset > s->head.sh_size)
            return err_set(l->e, ST_MALFORMED, "a relocation of compiled code lies outside of its section");
        struct fix f = {
            .section = s->at, .place = s->at + r.r_offset, .room = s->head.sh_size - r.r_offset, .addend = r.r_addend};
        enum status st = symbol_address(l, index, &f.target);
        if (st)
            return st;
        bool fits;
        Elf64_Sym sym = symbol(l, index);
        if (!apply(l->text.data, type, &f, &fits))
            return err_set(l->e, ST_UNSUPPORTED, "compiled code wants an address (relocation %u to %.64s)", type,
                           symbol_name(l, &sym));
        if (!fits)
            return err_set(l->e, ST_UNSUPPORTED, "compiled code is out of its own reach (relocation %u to %.64s)", type,
                           symbol_name(l, &sym));
    }
    return ST_OK;
}

static enum status relocate(struct linker *l) {
    for (uint32_t i = 1; i < l->nsections; i++) {
        const struct section *s = &l->sections[i];
        if (s->head.sh_type != SHT_RELA && s->head.sh_type != SHT_REL)
            continue;
        if (s->head.sh_info >= l->nsections)
            return err_set(l->e, ST_MALFORMED, "the relocations of compiled code are damaged");
        const struct section *of = &l->sections[s->head.sh_info];
        if (!of->kept)
            continue;
        if (s->head.sh_type == SHT_REL)
            return err_set(l->e, ST_UNSUPPORTED, "compiled code has relocations without addends");
        enum status st = relocate_section(l, s, of);
        if (st)
            return st;
    }
    return ST_OK;
}

/* ---- entries -------------------------------------------------------------------------------------------------------
 */

/* A number as we write it into names; its end, or NULL. */
static const char *number(const char *s, uint32_t *out) {
    uint64_t v = 0;
    if (*s < '0' || *s > '9' || (*s == '0' && s[1] >= '0' && s[1] <= '9'))
        return NULL;
    for (; *s >= '0' && *s <= '9'; s++) {
        v = v * 10 + (uint64_t)(*s - '0');
        if (v >= UINT32_MAX)
            return NULL;
    }
    *out = (uint32_t)v;
    return s;
}

/* What a symbol's name says; `kind` 'b', 'e' or 'l'. False for all other names. */
struct named {
    uint32_t func, loop;
    char kind;
    uint32_t at;
};

static bool parse_name(const char *name, struct named *out) {
    if (*name != 'b' && *name != 'e' && *name != 'l')
        return false;
    struct named n = {.kind = *name};
    const char *end = number(name + 1, &n.func);
    if (end && n.kind == 'l')
        end = *end == '_' ? number(end + 1, &n.loop) : NULL;
    if (!end || *end || (n.kind == 'l' && !n.loop))
        return false;
    *out = n;
    return true;
}

static int compare_named(const void *a, const void *b) {
    const struct named *x = a, *y = b;
    if (x->func != y->func)
        return x->func < y->func ? -1 : 1;
    if (x->loop != y->loop)
        return x->loop < y->loop ? -1 : 1;
    return (x->kind > y->kind) - (x->kind < y->kind);
}

static enum status find_named(struct linker *l, struct named *out, uint32_t *count) {
    uint32_t n = 0;
    for (uint32_t i = 1; i < l->nsymbols; i++) {
        Elf64_Sym s = symbol(l, i);
        const char *name = string_at(l->names, s.st_name);
        if (!name)
            return err_set(l->e, ST_MALFORMED, "a symbol of compiled code has no name");
        if (!parse_name(name, &out[n]))
            continue;
        uint64_t at;
        enum status st = symbol_address(l, i, &at);
        if (st)
            return st;
        const struct section *in = &l->sections[s.st_shndx];
        if (!(in->head.sh_flags & SHF_EXECINSTR) || s.st_value == in->head.sh_size)
            return err_set(l->e, ST_MALFORMED, "the entry %s is no code", name);
        out[n++].at = (uint32_t)at;
    }
    *count = n;
    return ST_OK;
}

static enum status write_object(struct linker *l, const struct wasm_module *module, struct buf *object) {
    struct named *named = mem_alloc((size_t)l->nsymbols * sizeof *named);
    struct object_entry *entries = mem_alloc((size_t)l->nsymbols * sizeof *entries);
    uint32_t n = 0, nentries = 0;
    enum status st = find_named(l, named, &n);
    if (st)
        goto done;
    qsort(named, n, sizeof *named, compare_named);
    for (uint32_t i = 0; i < n; i++) {
        const struct named *a = &named[i], *b = i + 1 < n ? &named[i + 1] : NULL;
        bool pair = a->kind == 'b' && b && b->kind == 'e' && a->func == b->func;
        if ((!pair && a->kind != 'l') || (b && compare_named(a, b) == 0)) {
            st = err_set(l->e, ST_MALFORMED, "function %u lacks its body or its entry, or has one twice", a->func);
            goto done;
        }
        entries[nentries++] = (struct object_entry){
            .func = a->func, .loop = a->loop, .enter = pair ? b->at : a->at, .body = pair ? a->at : 0};
        i += pair;
    }
    if (!nentries) {
        st = err_set(l->e, ST_MALFORMED, "compiled code has no entries");
        goto done;
    }
    struct sha256 hash = *wasm_module_hash(module);
    st = object_write(&hash, wasm_native_features(), entries, nentries, buf_span(&l->text), object, l->e);
done:
    mem_free(entries);
    mem_free(named);
    return st;
}

enum status llvm_link(struct span elf, const struct wasm_module *module, struct buf *object, struct err *e) {
    struct linker l = {.elf = elf, .e = e};
    /* Sections do not overlap in a file that LLVM made, so that only gaps between them come to what the file has. */
    buf_init(&l.text, elf.size < UINT32_MAX / 2 ? elf.size + (64 << 10) : UINT32_MAX / 2);
    enum status st = read_sections(&l);
    if (!st)
        st = read_symbols(&l);
    if (!st)
        st = lay_out(&l, true);
    if (!st)
        st = lay_out(&l, false);
    if (!st)
        st = relocate(&l);
    if (!st)
        st = write_object(&l, module, object);
    buf_deinit(&l.text);
    mem_free(l.sections);
    return st;
}
