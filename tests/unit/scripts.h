/* scripts.h - a directory with programs that print secrets. */
#ifndef TESTS_SCRIPTS_H
#define TESTS_SCRIPTS_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "command.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char dir[] = "/tmp/test_command.XXXXXX";

/* Into a buffer that the next call reuses. */
static inline const char *
path_of(const char *name)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static inline void
put(const char *name, mode_t mode, const char *text)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path_of(name), mode), 0);
}

/* Makes `script` the shell's work. */
static inline const char *
script(const char *text)
{
	static char command[96];

	put("script", 0600, text);
	(void)snprintf(
	    command, sizeof(command), "/bin/sh %s", path_of("script"));
	return command;
}

static inline int
set_up(void **unused)
{
	(void)unused;
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static inline int
tear_down(void **unused)
{
	static const char *const names[] = { "script", "pid", "program" };

	(void)unused;
	for (size_t i = 0; i < COUNT(names); i++)
		(void)unlink(path_of(names[i]));
	return rmdir(dir);
}

static inline int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline size_t
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

static inline void
no_children(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

#endif
