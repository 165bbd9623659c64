/* show.h: records in words. */
#ifndef AEON_GUEST_SHOW_H
#define AEON_GUEST_SHOW_H

#include "abi/abi.h"
#include "journal/journal.h"

/* A CALL: `fd_write(fd=1, iovs=[5]"hello")`. In JSON: "call":"fd_write","module":...,"args":{...}, without braces
 * around. */
void guest_show_call(struct abi_text *t, const struct journal_record *call);

/* A RETURN, to stand behind its CALL: ` = 0 nwritten=5`. In JSON: "result":0,"out":{...}, and "error" when there is
 * one. */
void guest_show_return(struct abi_text *t, const struct journal_record *ret);

/* Any record by itself, in the same manner. */
void guest_show_record(struct abi_text *t, const struct journal_record *r);

#endif
