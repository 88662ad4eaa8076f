/* config_dir.h - a directory with a configuration and what it names. */
#ifndef TESTS_CONFIG_DIR_H
#define TESTS_CONFIG_DIR_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parse_config.h"

static char dir[] = "/tmp/test_config.XXXXXX";

/* Into a buffer that the next call reuses. */
static inline const char *
path_of(const char *name)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static inline void
put(const char *name, mode_t mode, const char *bytes, size_t n)
{
	FILE *f;

	(void)unlink(path_of(name));
	f = fopen(path_of(name), "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path_of(name), mode), 0);
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
	static const char *const names[] = { "c", "s", "link", "fifo", "sock",
		"cert", "key", "program" };

	(void)unused;
	for (size_t i = 0; i < COUNT(names); i++)
		(void)unlink(path_of(names[i]));
	return rmdir(dir);
}

/* One account whose secret is `ref`, in the file "c". */
static inline struct config *
load_with(const char *ref, const char *more, struct heard *h)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
	    "%s\n[account a]\nprovider = google\nclient_id = 1\n"
	    "client_secret = %s\n",
	    more, ref);

	put("c", 0640, text, (size_t)n);
	*h = (struct heard){ .n = 0 };
	return config_load(path_of("c"), hear, h);
}

#endif
