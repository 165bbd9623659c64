// Stands in for the C library's <setjmp.h>, which Lua includes and this build does not use: see protected.h.
