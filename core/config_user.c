#include "config_user.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "setting.h"

/* The specification has relative paths ignored. */
static const char *
absolute(const char *variable)
{
	const char *value = secure_getenv(variable);

	return value != NULL && value[0] == '/' ? value : NULL;
}

/* $VARIABLE/tail, or ~/otherwise/tail. */
static char *
place(const char *variable, const char *otherwise, const char *tail)
{
	const char *base = absolute(variable), *home = absolute("HOME");
	char *path = NULL;
	int n = -1;

	if (base != NULL)
		n = asprintf(&path, "%s/%s", base, tail);
	else if (home != NULL)
		n = asprintf(&path, "%s/%s/%s", home, otherwise, tail);
	return n >= 0 ? path : NULL;
}

char *
config_user_path(void)
{
	return place("XDG_CONFIG_HOME", ".config", "mailtoken/mailtoken.conf");
}

static int
user_socket(struct config *c, struct diag *reterr)
{
	const char *runtime = absolute("XDG_RUNTIME_DIR");
	char path[256];
	int n;

	if (runtime == NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "XDG_RUNTIME_DIR is not set, as it is in a login session: "
		    "log in properly, or write listen = /PATH into %s",
		    c->path);
	n = snprintf(path, sizeof(path), "%s/mailtoken/agent.sock", runtime);
	if (n < 0 || (size_t)n >= sizeof(path))
		return diag_set(
		    reterr, DIAG_CONFIG, "XDG_RUNTIME_DIR is too long");
	return sockets_parse(path, &c->listen, reterr);
}

/* Who must own the secrets, as texts name him: a number, if he has no name. */
static int
user_name(struct config *c, struct diag *reterr)
{
	char text[4096], *name = NULL;
	struct passwd pwd, *pw = NULL;

	(void)getpwuid_r(geteuid(), &pwd, text, sizeof(text), &pw);
	if (pw != NULL)
		name = strdup(pw->pw_name);
	else if (asprintf(&name, "%u", (unsigned)geteuid()) < 0)
		name = NULL;
	if (name == NULL)
		return diag_nomem(reterr);
	free(c->user);
	c->user = name;
	return 0;
}

int
config_user_defaults(struct config *c, struct diag *reterr)
{
	char *state;

	if ((c->listen_default && user_socket(c, reterr) < 0) ||
	    user_name(c, reterr) < 0)
		return -1;
	if (c->idle_exit_s == 0)
		c->idle_exit_s = CONFIG_USER_IDLE_S;
	if (!c->state_default)
		return 0;
	state = place("XDG_STATE_HOME", ".local/state", "mailtoken");
	if (state == NULL)
		return diag_set(reterr, DIAG_CONFIG,
		    "HOME is not set: write state_dir = /PATH into %s",
		    c->path);
	free(c->state_dir);
	c->state_dir = state;
	c->state_default = false;
	return 0;
}
