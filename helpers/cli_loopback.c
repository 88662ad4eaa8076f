/* cli_loopback.c - a web server for the programs of this host. */
#include "cli_loopback.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>

#include "cleanup.h"

#define BACKLOG	  16
#define TRIES	  32 /* to find a port that is free on both */
#define AGAIN_US  100000
#define FDS	  256 /* a command has few, and the lowest */
#define LINES_MAX 1000000

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* This host's loopback; *len is its size. */
static union address
address_of(int family, unsigned port, socklen_t *len)
{
	union address a;

	memset(&a, 0, sizeof(a));
	if (family == AF_INET) {
		a.in.sin_family = AF_INET;
		a.in.sin_port = htons((uint16_t)port);
		a.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		*len = sizeof(a.in);
	} else {
		a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = htons((uint16_t)port);
		a.in6.sin6_addr = in6addr_loopback;
		*len = sizeof(a.in6);
	}
	return a;
}

/* sin_port and sin6_port are at the same place. */
static unsigned
port_of(int fd)
{
	union address a = { .in = { .sin_port = 0 } };
	socklen_t len = sizeof(a);

	return getsockname(fd, &a.sa, &len) == 0 ? ntohs(a.in.sin_port) : 0;
}

/* Returns a descriptor, or -1 with errno. */
static int
listen_on(int family, unsigned port)
{
	auto_close int fd =
	    socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len;
	union address a = address_of(family, port, &len);
	int one = 1;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, &a.sa, len) < 0 || listen(fd, BACKLOG) < 0)
		return -1;
	return take_fd(&fd);
}

/* Both, or -1 with errno; fds[1] is -1 on a host without ::1. */
static int
listen_on_both(unsigned port, int fds[2])
{
	int e;

	if ((fds[0] = listen_on(AF_INET, port)) < 0)
		return -1;
	fds[1] = listen_on(AF_INET6, port_of(fds[0]));
	if (fds[1] >= 0 || errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)
		return 0;
	e = errno;
	(void)close(fds[0]);
	errno = e;
	return -1;
}

/* Accepted and not closed yet: libevent keeps no account of them. */
static unsigned
connections(const struct loopback *l)
{
	unsigned n = 0;

	for (int fd = 0; fd < FDS; fd++) {
		union address peer;
		socklen_t len = sizeof(peer);

		if (port_of(fd) == l->port &&
		    getpeername(fd, &peer.sa, &len) == 0)
			n++;
	}
	return n;
}

static void
listen_if_few(struct loopback *l)
{
	static const struct timeval again = { 0, AGAIN_US };
	bool few = connections(l) < LOOPBACK_CONNECTIONS;

	for (size_t i = 0; i < 2; i++)
		if (l->listeners[i] != NULL && few)
			(void)evconnlistener_enable(l->listeners[i]);
		else if (l->listeners[i] != NULL)
			(void)evconnlistener_disable(l->listeners[i]);
	if (!few)
		(void)event_add(l->again, &again);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	listen_if_few(arg);
}

/* Each connection comes by here; NULL: as libevent would make it. */
static struct bufferevent *
on_connection(struct event_base *base, void *arg)
{
	(void)base;
	listen_if_few(arg);
	return NULL;
}

static int
take_fds(struct loopback *l, struct evhttp *http, const int fds[2])
{
	for (size_t i = 0; i < 2; i++) {
		struct evhttp_bound_socket *bound;

		if (fds[i] < 0)
			continue;
		bound = evhttp_accept_socket_with_handle(http, fds[i]);
		if (bound == NULL) {
			for (; i < 2; i++)
				if (fds[i] >= 0)
					(void)close(fds[i]);
			return -1;
		}
		l->listeners[i] = evhttp_bound_socket_get_listener(bound);
	}
	return 0;
}

int
loopback_open(struct loopback *l, struct event_base *base, struct evhttp *http,
    unsigned port, struct diag *reterr)
{
	int fds[2] = { -1, -1 }, rc = -1;

	*l = (struct loopback){ .again = evtimer_new(base, on_again, l) };
	if (l->again == NULL)
		return diag_nomem(reterr);
	for (int i = 0; rc < 0 && i < (port != 0 ? 1 : TRIES); i++)
		rc = listen_on_both(port, fds);
	if (rc < 0 && errno == EADDRINUSE)
		return diag_set(reterr, DIAG_CONFIG,
		    "port %u of 127.0.0.1 is taken by another program, or that "
		    "of ::1: give another one with --port, or leave it out",
		    port);
	if (rc < 0)
		return diag_set(reterr, DIAG_CONFIG,
		    "cannot listen on port %u of 127.0.0.1 and ::1: %s", port,
		    strerror(errno));
	l->port = port_of(fds[0]);
	if (take_fds(l, http, fds) < 0)
		return diag_nomem(reterr);
	evhttp_set_bevcb(http, on_connection, l);
	return 0;
}

void
loopback_close(struct loopback *l)
{
	if (l->again != NULL)
		event_free(l->again);
	*l = (struct loopback){ .port = 0 };
}

/*
 * This host's loopback as the kernel's tables have it: words of the host's
 * order, in hex.  mapped: as a socket of IPv6 has that of IPv4.
 */
static void
print_address(int family, bool mapped, char hex[33])
{
	socklen_t len;
	union address a = address_of(family, 0, &len);
	uint32_t words[4] = { 0 };
	size_t n = family == AF_INET ? 1 : 4;

	if (family == AF_INET)
		memcpy(words, &a.in.sin_addr, sizeof(*words));
	else
		memcpy(words, &a.in6.sin6_addr, sizeof(words));
	if (mapped) {
		words[3] = words[0];
		words[2] = htonl(0xffff);
		words[0] = 0;
		n = 4;
	}
	for (size_t i = 0; i < n; i++)
		(void)snprintf(hex + 8 * i, 9, "%08X", words[i]);
}

/* The row of the other end's socket: from its port to ours. */
static bool
find_row(
    FILE *table, const char *address, unsigned from, unsigned to, uid_t *ret)
{
	char line[512];

	for (long i = 0; i < LINES_MAX && fgets(line, sizeof(line), table);
	     i++) {
		char local[33], remote[33];
		unsigned local_port, remote_port, uid;

		if (sscanf(line,
			" %*[0-9]: %32[0-9A-F]:%4x %32[0-9A-F]:%4x %*x %*s %*s "
			"%*s %u",
			local, &local_port, remote, &remote_port, &uid) == 5 &&
		    local_port == from && remote_port == to &&
		    strcmp(local, address) == 0 &&
		    strcmp(remote, address) == 0) {
			*ret = uid;
			return true;
		}
	}
	return false;
}

static bool
find_peer(const char *path, const char *address, unsigned from, unsigned to,
    uid_t *ret)
{
	FILE *table = fopen(path, "re");
	bool found;

	if (table == NULL)
		return false;
	found = find_row(table, address, from, to, ret);
	(void)fclose(table);
	return found;
}

bool
loopback_peer(const struct loopback *l, struct evhttp_connection *c, uid_t *ret)
{
	char *address = NULL, hex[33];
	uint16_t port = 0;
	bool six;

	evhttp_connection_get_peer(c, &address, &port);
	six = address != NULL && strchr(address, ':') != NULL;
	print_address(six ? AF_INET6 : AF_INET, false, hex);
	if (find_peer(six ? "/proc/net/tcp6" : "/proc/net/tcp", hex, port,
		l->port, ret))
		return true;
	if (six)
		return false;
	print_address(AF_INET, true, hex);
	return find_peer("/proc/net/tcp6", hex, port, l->port, ret);
}
