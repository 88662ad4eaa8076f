/*
 * threadhost.c - threadhost USER PASS THREADS LOGINS: threads with
 * connections of their own log in at the same time.
 *
 * Prints "ok=N fail=M", and what is left of descriptors, threads and signals;
 * 0 only if all were served.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "login.h"

#define MAX	64
#define LIMIT_S 120

static struct person who;
static int logins;
static atomic_int ok, failed;
static pthread_barrier_t all_there;

static void *
mutex_new(void)
{
	pthread_mutex_t *m = malloc(sizeof(*m));

	if (m != NULL && pthread_mutex_init(m, NULL) != 0) {
		free(m);
		m = NULL;
	}
	return m;
}

static int
mutex_lock(void *m)
{
	return pthread_mutex_lock(m) == 0 ? SASL_OK : SASL_FAIL;
}

static int
mutex_unlock(void *m)
{
	return pthread_mutex_unlock(m) == 0 ? SASL_OK : SASL_FAIL;
}

static void
mutex_free(void *m)
{
	(void)pthread_mutex_destroy(m);
	free(m);
}

static void *
work(void *arg)
{
	(void)arg;
	(void)pthread_barrier_wait(&all_there);
	for (int i = 0; i < logins; i++) {
		struct login l;
		bool good =
		    login_new(&l, &who) == SASL_OK &&
		    login_start(&l, i % 2 ? "XOAUTH2" : "OAUTHBEARER") ==
			SASL_CONTINUE &&
		    login_step(&l, "") == SASL_OK;

		atomic_fetch_add(good ? &ok : &failed, 1);
		if (!good)
			login_report(&l, "login");
		login_end(&l);
	}
	return NULL;
}

int
main(int argc, char *argv[])
{
	int n = argc == 5 ? atoi(argv[3]) : 0;
	pthread_t threads[MAX];
	struct census before;

	if (n < 1 || n > MAX || (logins = atoi(argv[4])) < 1) {
		fprintf(stderr, "usage: threadhost USER PASS THREADS LOGINS\n");
		return 2;
	}
	who = (struct person){ argv[1], secret_make(argv[2]) };
	(void)alarm(LIMIT_S);
	sasl_set_mutex(mutex_new, mutex_lock, mutex_unlock, mutex_free);
	census_take(&before);
	if (!library_init() ||
	    pthread_barrier_init(&all_there, NULL, (unsigned)n) != 0)
		return 2;
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, work, NULL) != 0)
			return 2;
	for (int i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
	sasl_client_done();
	dprintf(report_fd, "ok=%d fail=%d\n", ok, failed);
	census_report(&before);
	free(who.secret);
	return failed == 0 && ok == n * logins ? 0 : 1;
}
