/* cleanup.h - what a scope owns, it gives back on every way out. */
#ifndef CORE_CLEANUP_H
#define CORE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_(void *p) { free(*(void **)p); }
static inline void cleanup_close_(int *fd) { if (*fd >= 0) (void)close(*fd); }

/* A pointer that free() takes; initialise it, NULL is fine. */
#define auto_free	__attribute__((cleanup(cleanup_free_)))
/* A file descriptor; initialise it, -1 is fine. */
#define auto_close	__attribute__((cleanup(cleanup_close_)))
/* auto_secret lives in secret.h, auto_buf in buf.h. */

/* Hands a descriptor out of its scope: `return take_fd(&fd);` */
static inline int
take_fd(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

/* Hands a pointer out of its scope: `ret->name = take_ptr(&name);` */
#define take_ptr(p)	({ __typeof__(*(p)) p_ = *(p); *(p) = NULL; p_; })

#endif
