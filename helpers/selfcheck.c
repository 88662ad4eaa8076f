#include "selfcheck.h"

#include <stdio.h>
#include <sysexits.h>

#include "config_check.h"
#include "config_user.h"

static void
complain(void *arg, const struct diag *d)
{
	(void)arg;
	fprintf(stderr, "mailtokend: %s\n", d->text);
}

int
selfcheck(const char *path, bool user)
{
	struct config *c = config_load(path, complain, NULL);
	struct diag d = DIAG_INIT;
	size_t n = 1;

	if (c != NULL && user && config_user_defaults(c, &d) < 0)
		complain(NULL, &d);
	else if (c != NULL)
		n = config_check_files(c, complain, NULL);
	config_unref(&c);
	return n == 0 ? EX_OK : EX_CONFIG;
}
