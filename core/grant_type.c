#include "grant_type.h"

#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const names[] = {
	[GRANT_REFRESH_TOKEN] = "refresh_token",
	[GRANT_CLIENT_CREDENTIALS] = "client_credentials",
	[GRANT_WORKLOAD_IDENTITY] = "workload_identity",
	[GRANT_MANAGED_IDENTITY] = "managed_identity",
	[GRANT_JWT_BEARER] = "jwt_bearer",
};
_Static_assert(COUNT(names) == GRANT__COUNT, "one word per grant");

const char *
grant_name(enum grant_type g)
{
	return g < GRANT__COUNT ? names[g] : "?";
}

bool
grant_name_parse(const char *word, enum grant_type *ret)
{
	for (size_t i = 0; i < COUNT(names); i++)
		if (strcmp(names[i], word) == 0) {
			*ret = (enum grant_type)i;
			return true;
		}
	return false;
}

const char *
grant_list(unsigned grants, char *ret)
{
	size_t len = 0;

	ret[0] = '\0';
	for (unsigned i = 0; i < GRANT__COUNT; i++) {
		unsigned after = grants >> i >> 1;
		const char *glue = after == 0		      ? "" :
				   (after & (after - 1)) == 0 ? " or " :
								", ";
		int n;

		if ((grants >> i & 1U) == 0)
			continue;
		n = snprintf(
		    ret + len, GRANT_LIST_SIZE - len, "%s%s", names[i], glue);
		if (n < 0 || (size_t)n >= GRANT_LIST_SIZE - len)
			break;
		len += (size_t)n;
	}
	return ret;
}
