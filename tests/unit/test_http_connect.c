/* The way to a server: its address, a descriptor, a connection. */
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "http_lab.h"

/* The port is nobody's: bound, not listening. */
static void
says_who_refused(void **state)
{
	struct lab *lab = *state;
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct result r;
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.timeout_ms = 2000,
		.answer_max = 15 };

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	(void)snprintf(
	    url, sizeof(url), "http://127.0.0.1:%u/", ntohs(sin.sin_port));
	run(lab, &q, &r);
	assert_int_equal(r.why.kind, DIAG_RETRY);
	assert_string_equal(
	    r.why.text, "127.0.0.1: cannot connect: Connection refused");
	q.url = "https://nowhere.invalid/token";
	run(lab, &q, &r);
	assert_int_equal(r.why.kind, DIAG_RETRY);
	assert_memory_equal(r.why.text, "nowhere.invalid: ", 17);
}

/* So few more than are open that neither a lookup nor a socket is left. */
static void
limit_descriptors(rlim_t more)
{
	struct rlimit l;
	int fd = dup(0);

	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &l), 0);
	l.rlim_cur = (rlim_t)fd + more;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &l), 0);
}

/* It is not the server's fault, nor any other account's. */
static void
says_what_this_host_lacks(void **state)
{
	static const struct {
		const char *url; /* %u is the port */
		const char *ca_file;
		rlim_t more;
		enum diag_kind kind;
		const char *says;
	} table[] = {
		{ "http://127.0.0.1:%u/close", NULL, 0, DIAG_NOMEM,
		    "127.0.0.1: was not asked: too many open files in this" },
		{ "https://nowhere.invalid/%u", NULL, 0, DIAG_NOMEM,
		    "nowhere.invalid: was not asked: too many open files" },
		{ "https://nowhere.invalid/%u", NULL, 1, DIAG_NOMEM,
		    "raise LimitNOFILE" },
		{ "https://nowhere.invalid/%u", NULL, 2, DIAG_NOMEM,
		    "raise LimitNOFILE" },
		{ "https://127.0.0.1:%u/", "/etc/hosts", 1, DIAG_NOMEM,
		    "raise LimitNOFILE" },
		/* Enough of them. */
		{ "https://nowhere.invalid/%u", NULL, 64, DIAG_RETRY,
		    "cannot find the address" },
		{ "https://127.0.0.1:%u/", "/etc/hosts", 64, DIAG_CONFIG,
		    "cannot use ca_file" },
	};
	struct lab *lab = *state;
	struct rlimit before;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *port = strstr(table[i].url, "%u");
		struct result r;
		char url[128];
		struct http_request q = { .url = url,
			.ca_file = table[i].ca_file,
			.insecure_http = true,
			.timeout_ms = 5000,
			.answer_max = 15 };

		(void)snprintf(url, sizeof(url), "%.*s%u%s",
		    (int)(port - table[i].url), table[i].url, lab->server.port,
		    port + 2);
		limit_descriptors(table[i].more);
		run(lab, &q, &r);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		if (r.why.kind != table[i].kind ||
		    strstr(r.why.text, table[i].says) == NULL)
			fail_msg("%zu: %s", i, r.why.text);
	}
}

/* Is called by libcurl, in threads of its own. */
static atomic_int lookups;
static atomic_bool lookups_hang;

__attribute__((visibility("default"))) int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
    struct addrinfo **ret)
{
	static __typeof__(getaddrinfo) *real;

	if (name == NULL || strcmp(name, "hangs.contoso.example") != 0) {
		if (real == NULL)
			*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
		return real(name, service, hints, ret);
	}
	atomic_fetch_add(&lookups, 1);
	for (int i = 0; i < 1500 && atomic_load(&lookups_hang); i++)
		(void)usleep(10000);
	atomic_fetch_sub(&lookups, 1);
	return EAI_AGAIN;
}

/* Nobody waits for a resolver that does not answer but who wants the name. */
static void
waits_for_no_resolver(void **state)
{
	static const struct timeval a_while = { 0, 300000 };
	struct lab *lab = *state;
	time_t began = time(NULL);
	struct diag d = DIAG_INIT;
	struct http_call *call;
	struct result r;
	struct http_request q = { .url = "https://hangs.contoso.example/token",
		.timeout_ms = 500,
		.answer_max = 15 };

	atomic_store(&lookups_hang, true);
	run(lab, &q, &r);
	assert_int_equal(r.why.kind, DIAG_RETRY);
	assert_string_equal(r.why.text,
	    "hangs.contoso.example: cannot find the address: check the "
	    "network and the resolver");
	q.timeout_ms = 5000;
	assert_non_null(call = http_start(lab->http, &q, ended, &r, &d));
	(void)event_base_loopexit(lab->base, &a_while);
	(void)event_base_dispatch(lab->base);
	http_cancel(&call);
	assert_int_equal(atomic_load(&lookups), 2); /* still */
	assert_in_range(time(NULL) - began, 0, 8);
	atomic_store(&lookups_hang, false);
	for (int i = 0; i < 500 && atomic_load(&lookups) > 0; i++)
		(void)usleep(10000);
	assert_int_equal(atomic_load(&lookups), 0);
}

/* A listener takes no more: who comes now is not even refused. */
static int
fill(int fd, int in[2], unsigned *port)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	if (listen(fd, 0) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) < 0)
		return -1;
	*port = ntohs(sin.sin_port);
	for (int i = 0; i < 2; i++) {
		in[i] = socket(
		    AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (in[i] < 0 ||
		    (connect(in[i], (struct sockaddr *)&sin, len) < 0 &&
			errno != EINPROGRESS))
			return -1;
	}
	return 0;
}

static void
accept_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)evconnlistener_enable(((struct lab *)arg)->server.listener);
}

/* Nor does the time for the answer begin before somebody is there. */
static void
counts_no_connecting(void **state)
{
	static const struct timeval a_while = { 1, 500000 };
	struct lab *lab = *state;
	struct fake_server *s = &lab->server;
	struct result r;
	unsigned port = 0;
	int in[2];
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.timeout_ms = 4000,
		.answer_max = 15 };

	s->late = HEAD_("200 OK") BODY_;
	s->late_by = (struct timeval){ 2, 500000 };
	(void)evconnlistener_disable(s->listener);
	assert_int_equal(
	    fill(evconnlistener_get_fd(s->listener), in, &port), 0);
	assert_int_equal(event_base_once(lab->base, -1, EV_TIMEOUT,
			     accept_again, lab, &a_while),
	    0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/hang", port);
	/* TCP tries again after 1 s and 3 s. */
	run(lab, &q, &r);
	(void)close(in[0]);
	(void)close(in[1]);
	assert_string_equal(r.why.text, "");
	assert_int_equal(r.status, 200);
}

static void
says_how_far_it_got(void **state)
{
	struct lab *lab = *state;
	auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct result r;
	unsigned port = 0;
	int in[2];
	char url[128];
	struct http_request q = { .url = url,
		.insecure_http = true,
		.timeout_ms = 500,
		.answer_max = 15 };

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(fill(fd, in, &port), 0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
	run(lab, &q, &r);
	assert_int_equal(r.why.kind, DIAG_RETRY);
	assert_string_equal(r.why.text, "127.0.0.1: cannot connect within 1 s");
	(void)close(in[0]);
	(void)close(in[1]);
	/* Connected, but it does not speak TLS, nor anything else. */
	(void)snprintf(
	    url, sizeof(url), "https://127.0.0.1:%u/", lab->server.port);
	run(lab, &q, &r);
	assert_string_equal(r.why.text, "127.0.0.1: cannot connect within 1 s");
	assert_int_equal(lab->server.requests, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(says_who_refused),
		T(says_what_this_host_lacks),
		T(waits_for_no_resolver),
		T(says_how_far_it_got),
		T(counts_no_connecting),
	};

	return cmocka_run_group_tests_name(
	    "http connect", tests, start_curl, NULL);
}
