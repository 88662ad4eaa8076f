/*
 * login.h - one login on the real libsasl2, step by step, and the count of
 * what a login may have left behind.  For the programs beside it.
 *
 * Nothing goes through stdio: what is reported is one write(2), so that
 * processes and threads can share the descriptor.
 */
#ifndef HOSTS_LOGIN_H
#define HOSTS_LOGIN_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sasl/sasl.h>

struct person {
	const char *name;
	sasl_secret_t *secret;
};

struct login {
	sasl_callback_t callbacks[3];
	sasl_conn_t *conn;
	sasl_interact_t *prompts;
	const char *out;
	unsigned len;
	int rc;
};

static int report_fd = STDOUT_FILENO;

static inline int
person_name(void *arg, int id, const char **result, unsigned *len)
{
	const struct person *p = arg;

	(void)id;
	*result = p->name;
	if (len != NULL)
		*len = (unsigned)strlen(p->name);
	return SASL_OK;
}

static inline int
person_secret(sasl_conn_t *conn, void *arg, int id, sasl_secret_t **ret)
{
	const struct person *p = arg;

	(void)conn;
	(void)id;
	*ret = p->secret;
	return SASL_OK;
}

static inline sasl_secret_t *
secret_make(const char *text)
{
	size_t n = strlen(text);
	sasl_secret_t *s = calloc(1, sizeof(*s) + n + 1);

	if (s == NULL)
		exit(2);
	s->len = n;
	memcpy(s->data, text, n);
	return s;
}

/* Texts are seen by sasl_errdetail(); without this they go to syslog. */
static inline int
log_nothing(void *arg, int level, const char *text)
{
	(void)arg;
	(void)level;
	(void)text;
	return SASL_OK;
}

static inline bool
library_init(void)
{
	static const sasl_callback_t global[] = {
		{ SASL_CB_LOG, (int (*)(void))(void *)log_nothing, NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};

	return sasl_client_init(global) == SASL_OK;
}

/* who must outlive the login. */
static inline int
login_new(struct login *l, struct person *who)
{
	*l = (struct login){ .callbacks = {
		{ SASL_CB_AUTHNAME, (int (*)(void))(void *)person_name, who },
		{ SASL_CB_PASS, (int (*)(void))(void *)person_secret, who },
		{ SASL_CB_LIST_END, NULL, NULL },
	} };
	l->rc = sasl_client_new("smtp", "smtp.example.com", NULL, NULL,
	    l->callbacks, 0, &l->conn);
	return l->rc;
}

static inline int
login_start(struct login *l, const char *mechanism)
{
	const char *mech = NULL;

	l->out = NULL;
	l->len = 0;
	l->rc = sasl_client_start(
	    l->conn, mechanism, &l->prompts, &l->out, &l->len, &mech);
	return l->rc;
}

static inline int
login_step(struct login *l, const char *challenge)
{
	l->rc = sasl_client_step(l->conn, challenge,
	    (unsigned)strlen(challenge), &l->prompts, &l->out, &l->len);
	return l->rc;
}

static inline void
login_end(struct login *l)
{
	sasl_dispose(&l->conn);
}

/* FNV-1a of the response: tells tokens apart without showing them. */
static inline unsigned
login_sum(const struct login *l)
{
	unsigned h = 2166136261U;

	for (unsigned i = 0; i < l->len; i++)
		h = (h ^ (unsigned char)l->out[i]) * 16777619U;
	return h;
}

static inline void
login_report(const struct login *l, const char *what)
{
	if (l->rc == SASL_CONTINUE)
		dprintf(report_fd, "%s rc=%d len=%u sum=%u\n", what, l->rc,
		    l->len, login_sum(l));
	else if (l->rc == SASL_OK || l->rc == SASL_INTERACT)
		dprintf(report_fd, "%s rc=%d\n", what, l->rc);
	else
		dprintf(report_fd, "%s rc=%d error: %s\n", what, l->rc,
		    l->conn != NULL ? sasl_errdetail(l->conn) : "-");
}

struct census {
	int fds, threads;
	char signals[256]; /* caught, ignored and blocked */
};

static inline int
entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	if (d == NULL)
		return -1;
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

static inline void
census_take(struct census *c)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	size_t n = 0;

	*c = (struct census){ .threads = entries("/proc/self/task") };
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "Sig", 3) == 0 && line[3] != 'P' &&
		    line[3] != 'Q' && n < sizeof(c->signals))
			n += (size_t)snprintf(c->signals + n,
			    sizeof(c->signals) - n, "%s", line);
	if (f != NULL)
		(void)fclose(f);
	c->fds = entries("/proc/self/fd");
}

static inline void
census_report(const struct census *before)
{
	struct census now;

	census_take(&now);
	dprintf(report_fd, "left fds=%d threads=%d signals=%d\n",
	    now.fds - before->fds, now.threads - before->threads,
	    strcmp(now.signals, before->signals) != 0);
}

#endif
