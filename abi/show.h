/* show.h: printers of parameters, one per `show` of kinds.h; internal to abi/. */
#ifndef AEON_ABI_SHOW_H
#define AEON_ABI_SHOW_H

#include "abi/abi.h"

// clang-format off
#define ABI_SHOWS(SHOW) \
    SHOW(uint) SHOW(sint) SHOW(hex) SHOW(name) SHOW(flags) SHOW(text) SHOW(blob) SHOW(strings) SHOW(dirents) \
    SHOW(fdstat) SHOW(filestat) SHOW(unstable_filestat) SHOW(prestat) SHOW(subscriptions) \
    SHOW(unstable_subscriptions) SHOW(events) SHOW(name_text) SHOW(address) SHOW(option) SHOW(hints) SHOW(found)
#define ABI_NAME_SETS(SET) \
    SET(ERRNO) SET(CLOCKID) SET(ADVICE) SET(WHENCE) SET(UNSTABLE_WHENCE) SET(SIGNAL) SET(FDFLAGS) SET(FSTFLAGS) \
    SET(LOOKUPFLAGS) SET(OFLAGS) SET(RIGHTS) SET(RIFLAGS) SET(SDFLAGS) SET(ROFLAGS) SET(FILETYPE) SET(EVENTTYPE) \
    SET(PREOPENTYPE) SET(EVENTRWFLAGS) SET(SUBCLOCKFLAGS) SET(FAMILY) SET(SOCKTYPE) SET(IPPROTO) SET(ADDRTYPE) \
    SET(AIFLAGS) SET(SOCKOPT)
// clang-format on

#define SHOW(name) void abi_show_##name(struct abi_text *t, const struct abi_kind *k, struct span value);
ABI_SHOWS(SHOW)
#undef SHOW
#define SET(name) extern const struct abi_names abi_names_##name;
ABI_NAME_SETS(SET)
#undef SET

#endif
