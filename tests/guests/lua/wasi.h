// What Lua's library takes from C and WASI has not: commands and temporary files fail, as Lua allows them to.
// Included before everything else (-include).
#ifndef LUA_WASI_H
#define LUA_WASI_H

#include <stdio.h>
#include <stdlib.h>

#include "protected.h"

#define system(command)            ((command) ? -1 : 0)
#define LUA_TMPNAMBUFSIZE          1
#define lua_tmpnam(buffer, failed) ((void)(buffer), (failed) = 1)
#define tmpfile()                  NULL

#endif
