/*
 * logins.c - logins N MECH USER PASS: N logins, with the calls and callbacks
 * of Postfix's smtp(8), up to the initial response.  Silent; 0 if all were
 * served.  $SASL_PATH says where the plugins are.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sasl/sasl.h>

static const char *user;
static sasl_secret_t *secret;

static int
get_simple(void *arg, int id, const char **result, unsigned *len)
{
	(void)arg;
	(void)id;
	*result = user;
	if (len != NULL)
		*len = (unsigned)strlen(user);
	return SASL_OK;
}

static int
get_secret(sasl_conn_t *conn, void *arg, int id, sasl_secret_t **ret)
{
	(void)conn;
	(void)arg;
	(void)id;
	*ret = secret;
	return SASL_OK;
}

#define PROC(f) ((int (*)(void))(void (*)(void))(f))

static const sasl_callback_t callbacks[] = {
	{ SASL_CB_AUTHNAME, PROC(get_simple), NULL },
	{ SASL_CB_PASS, PROC(get_secret), NULL },
	{ SASL_CB_LIST_END, NULL, NULL },
};

/* Up to the initial response: what callgrind is told to count by this name. */
static __attribute__((noinline)) bool
respond(sasl_conn_t **conn, const char *mech)
{
	const sasl_security_properties_t properties = {
		.security_flags = SASL_SEC_NOANONYMOUS
	};
	const char *out = NULL, *used = NULL;
	unsigned len = 0;

	return sasl_client_new("smtp", "smtp.contoso.example", NULL, NULL,
		   callbacks, 0, conn) == SASL_OK &&
	       sasl_setprop(*conn, SASL_SEC_PROPS, &properties) == SASL_OK &&
	       sasl_client_start(*conn, mech, NULL, &out, &len, &used) >=
		   SASL_OK &&
	       len > 0;
}

static bool
login(const char *mech)
{
	sasl_conn_t *conn = NULL;
	bool ok = respond(&conn, mech);

	if (!ok)
		fprintf(stderr, "logins: %s\n", sasl_errdetail(conn));
	sasl_dispose(&conn);
	return ok;
}

int
main(int argc, char *argv[])
{
	int n = argc == 5 ? atoi(argv[1]) : -1;
	size_t len;
	bool ok = true;

	if (n < 0) {
		fputs("usage: logins N MECH USER PASS\n", stderr);
		return 64;
	}
	user = argv[3];
	len = strlen(argv[4]);
	if ((secret = calloc(1, sizeof(*secret) + len + 1)) == NULL)
		return 1;
	secret->len = len;
	memcpy(secret->data, argv[4], len + 1);
	if (sasl_client_init(NULL) != SASL_OK)
		return 1;
	while (ok && n-- > 0)
		ok = login(argv[2]);
	sasl_done();
	free(secret);
	return ok ? 0 : 1;
}
