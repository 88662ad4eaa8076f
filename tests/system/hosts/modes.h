/*
 * modes.h - a program made of modes: PROGRAM USER PASS MODE...
 *
 * Each mode prints its name, one line for each step, and last how many
 * descriptors, threads and dispositions of signals are left.  It is run
 * between an initialisation of libsasl2 and its end.
 */
#ifndef HOSTS_MODES_H
#define HOSTS_MODES_H

#include "login.h"

#define LIMIT_S	  60
#define REPORT_FD 100	/* out of the way of what modes close */

struct mode {
	const char *name;
	void (*run)(void);
};

static struct person user;

/* A whole login that goes well. */
static inline void
log_in(const char *what)
{
	struct login l;

	if (login_new(&l, &user) == SASL_OK &&
	    login_start(&l, "XOAUTH2") == SASL_CONTINUE) {
		login_report(&l, what);
		(void)login_step(&l, "");
	}
	login_report(&l, what);
	login_end(&l);
}

static inline bool
mode_run(const struct mode *m)
{
	struct census before;

	dprintf(report_fd, "mode %s\n", m->name);
	census_take(&before);
	if (!library_init())
		return false;
	m->run();
	sasl_client_done();
	census_report(&before);
	return true;
}

static inline int
modes_main(int argc, char *argv[], const struct mode *modes, size_t n)
{
	if (argc < 4 || dup2(STDOUT_FILENO, REPORT_FD) < 0) {
		fprintf(stderr, "usage: %s USER PASS MODE...\n", argv[0]);
		return 2;
	}
	report_fd = REPORT_FD;
	(void)alarm(LIMIT_S);
	user = (struct person){ argv[1], secret_make(argv[2]) };
	for (int i = 3; i < argc; i++) {
		const struct mode *m = modes;

		while (m < modes + n && strcmp(m->name, argv[i]) != 0)
			m++;
		if (m == modes + n || !mode_run(m))
			return 2;
	}
	free(user.secret);
	return 0;
}

#endif
