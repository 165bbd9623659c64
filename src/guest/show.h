/* show.h: records in words. */
#ifndef AEON_GUEST_SHOW_H
#define AEON_GUEST_SHOW_H

#include "abi/abi.h"
#include "journal/journal.h"

/* `fd_write(fd=1, iovs="hello")`, and with a RETURN ` = 0 nwritten=5`. `ret` may be NULL. In JSON:
 * "call":"fd_write","args":{...} and "result":0,"out":{...}, without braces around. */
void guest_show_call(struct abi_text *t, const struct journal_record *call, const struct journal_record *ret);

/* Any record: a CALL as above, a RETURN as ` = ...`, END and the others by what they hold. */
void guest_show_record(struct abi_text *t, const struct journal_record *r);

#endif
