/*
 * deafname.c - preloaded: the name server does not answer for the names of
 * one domain as long as a file is there, and then that it cannot.
 *
 *   DEAFNAME       the domain
 *   DEAFNAME_FILE  that file; it grows by a byte with each such lookup
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_US	 10000
#define LOOK_MAX 6000 /* a minute: libc's resolver gives up, too */

static bool
is_deaf(const char *name)
{
	const char *domain = getenv("DEAFNAME");
	size_t n = name != NULL ? strlen(name) : 0;

	return domain != NULL && n >= strlen(domain) &&
	       strcmp(name + n - strlen(domain), domain) == 0;
}

__attribute__((visibility("default"))) int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
    struct addrinfo **ret)
{
	__typeof__(getaddrinfo) *real;
	const char *path = getenv("DEAFNAME_FILE");
	int fd;

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (!is_deaf(name))
		return real(name, service, hints, ret);
	fd = path != NULL ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
	if (fd < 0)
		return EAI_AGAIN;
	if (write(fd, ".", 1) != 1)
		abort();
	(void)close(fd);
	for (int i = 0; i < LOOK_MAX && access(path, F_OK) == 0; i++)
		(void)usleep(LOOK_US);
	return EAI_AGAIN;
}
