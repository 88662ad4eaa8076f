#include "quote.h"

#include <stdbool.h>
#include <string.h>

static bool
is_credential_char(char c)
{
	return c != '\0' &&
	       strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		      "abcdefghijklmnopqrstuvwxyz0123456789._~+/=-",
		   c) != NULL;
}

void
quote(char *ret, size_t size, const char *s, size_t n)
{
	size_t used = 0, room = size - sizeof("..."), run, take;
	const char *end = s + n, *from;

	for (; s < end && *s != '\0'; s += run) {
		for (run = 0; s + run < end && is_credential_char(s[run]);)
			run++;
		from = run >= QUOTE_CREDENTIAL ? "***" : s;
		take = run >= QUOTE_CREDENTIAL ? 3 : run > 0 ? run : 1;
		run = run > 0 ? run : 1;
		if (take > room - used) {
			memcpy(ret + used, from, room - used);
			memcpy(ret + room, "...", sizeof("..."));
			return;
		}
		memcpy(ret + used, from, take);
		used += take;
	}
	ret[used] = '\0';
}
