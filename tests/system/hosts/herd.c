/*
 * herd.c - herd N USER PASS: N processes log in at the same moment.
 *
 * Each has initialised libsasl2 and waits; when all are there they start.
 * Prints "ok=N fail=M slowest_ms=T" and one line for each different error;
 * 0 only if all were served.  Ends after 60 seconds whatever happens.
 */
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sasl/sasl.h>

#define LIMIT_S 60
#define MAX	1000

struct outcome {
	int rc; /* of sasl_client_start() */
	int ms;
	char error[600];
};

/* Shared by all processes. */
struct herd {
	atomic_int ready, go;
	struct outcome outcome[MAX];
};

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

static int
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int)(t.tv_sec % 1000000 * 1000 + t.tv_nsec / 1000000);
}

static void
one(struct herd *h, struct outcome *o)
{
	const sasl_callback_t callbacks[] = {
		{ SASL_CB_AUTHNAME, (int (*)(void))(void *)get_simple, NULL },
		{ SASL_CB_PASS, (int (*)(void))(void *)get_secret, NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	sasl_conn_t *conn = NULL;
	const char *out, *mech;
	unsigned len;
	int begin;

	(void)alarm(LIMIT_S);
	o->rc = sasl_client_init(NULL);
	atomic_fetch_add(&h->ready, 1);
	while (!atomic_load(&h->go))
		(void)poll(NULL, 0, 1);
	begin = now_ms();
	if (o->rc == SASL_OK)
		o->rc = sasl_client_new("smtp", "smtp.example.com", NULL, NULL,
		    callbacks, 0, &conn);
	if (o->rc == SASL_OK)
		o->rc =
		    sasl_client_start(conn, "XOAUTH2", NULL, &out, &len, &mech);
	o->ms = now_ms() - begin;
	(void)snprintf(o->error, sizeof(o->error), "%s",
	    conn != NULL ? sasl_errdetail(conn) :
			   sasl_errstring(o->rc, NULL, NULL));
	sasl_dispose(&conn);
	sasl_client_done();
}

static int
report(const struct herd *h, int n)
{
	int ok = 0, slowest = 0;

	for (int i = 0; i < n; i++) {
		const struct outcome *o = &h->outcome[i];

		ok += o->rc == SASL_CONTINUE;
		slowest = o->ms > slowest ? o->ms : slowest;
	}
	printf("ok=%d fail=%d slowest_ms=%d\n", ok, n - ok, slowest);
	for (int i = 0; i < n; i++) {
		const struct outcome *o = &h->outcome[i];
		int seen = o->rc == SASL_CONTINUE;

		for (int j = 0; j < i && !seen; j++)
			seen = h->outcome[j].rc != SASL_CONTINUE &&
			       strcmp(h->outcome[j].error, o->error) == 0;
		if (!seen)
			printf("error: %s\n", o->error);
	}
	return ok == n ? 0 : 1;
}

int
main(int argc, char *argv[])
{
	int n = argc == 4 ? atoi(argv[1]) : 0;
	struct herd *h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (n < 1 || n > MAX || h == MAP_FAILED) {
		fprintf(stderr, "usage: herd N USER PASS\n");
		return 2;
	}
	user = argv[2];
	secret = calloc(1, sizeof(*secret) + strlen(argv[3]) + 1);
	if (secret == NULL)
		return 2;
	secret->len = strlen(argv[3]);
	memcpy(secret->data, argv[3], secret->len);

	(void)alarm(LIMIT_S);
	for (int i = 0; i < n; i++) {
		pid_t pid;

		h->outcome[i].rc = SASL_FAIL;
		(void)snprintf(h->outcome[i].error, sizeof(h->outcome[i].error),
		    "the process died");
		pid = fork();
		if (pid == 0) {
			one(h, &h->outcome[i]);
			_exit(0);
		}
		if (pid < 0) {
			perror("fork");
			return 2;
		}
	}
	while (atomic_load(&h->ready) < n)
		(void)poll(NULL, 0, 1);
	atomic_store(&h->go, 1);
	while (wait(NULL) > 0)
		;
	free(secret);
	return report(h, n);
}
