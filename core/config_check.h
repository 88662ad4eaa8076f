/*
 * config_check.h - what the configuration names: is it there, may it be used,
 * and for how long?
 */
#ifndef CORE_CONFIG_CHECK_H
#define CORE_CONFIG_CHECK_H

#include <stddef.h>

#include "config.h"

#define CONFIG_CHECK_SOON_S	(30 * 86400)

/*
 * For `mailtoken check`: the configuration's own owner and mode, and of every
 * account its secret, certificate, key, federated token and CA's file, all of
 * it put to use as for a request; complained about one by one.  Returns the
 * number of complaints.
 *
 * What ends within CONFIG_CHECK_SOON_S is said too, with kind OK: it is not
 * wrong yet, and does not count.
 *
 * Run by root it also sees what belongs to somebody else than the agent's
 * user.  Credentials are looked at only where systemd handed them over.
 * Programs are not run: that they can be is all that is looked at, and what
 * needs their secret is not put to use.
 */
size_t config_check_files(const struct config *c, config_complain *complain,
	void *arg);
/*
 * Could this process run the program of `notify`?  0, also if there is none;
 * -1 with *reterr (CONFIG, NOMEM).
 */
int config_check_notify(const struct config *c, struct diag *reterr);

#endif
