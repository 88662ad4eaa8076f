#include "cli_state.h"

#include <stddef.h>
#include <string.h>

static const char *const names[] = {
	[STATE_OK] = "ok",
	[STATE_NEW] = "new",
	[STATE_RETRY] = "retry",
	[STATE_REAUTH] = "reauth",
	[STATE_CONFIG] = "config",
};
_Static_assert(
    sizeof(names) / sizeof(names[0]) == STATE__COUNT, "a word for every state");

const char *
cli_state_name(enum cli_state state)
{
	return names[state];
}

enum cli_state
cli_state_parse(const char *word)
{
	for (enum cli_state i = 0; word != NULL && i < STATE__COUNT; i++)
		if (strcmp(names[i], word) == 0)
			return i;
	return STATE_RETRY;
}
