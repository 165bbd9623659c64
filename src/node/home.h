/* home.h: where the store lies. */
#ifndef AEON_NODE_HOME_H
#define AEON_NODE_HOME_H

#include "base/err.h"

/* $AEON_HOME, else $XDG_DATA_HOME/aeon, else $HOME/.local/share/aeon; an empty variable counts as unset, and XDG asks
 * to ignore a relative XDG_DATA_HOME. Allocated; free with mem_free. */
NODISCARD enum status node_find_home(char **out, struct err *e);

#endif
