/* What is given back is overwritten (helpers/heap.c is linked with this). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap.h"

static const char canary[] = "canary-7Hq2xPz9LmWv4TnR";

/* Past the compiler, which knows what free() means. */
static bool
still_there(uintptr_t at, size_t offset)
{
	char now[sizeof(canary)] = "";
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	ssize_t n = pread(fd, now, sizeof(now), (off_t)(at + offset));

	(void)close(fd);
	/* The rest of a block may be the kernel's again. */
	return n == (ssize_t)sizeof(now) &&
	       memcmp(now + 4, canary + 4, sizeof(canary) - 4) == 0;
}

static bool
is_wiped_by(char *(*get)(size_t), size_t size, void (*put)(char *))
{
	char *block = get(size);
	volatile uintptr_t at = (uintptr_t)block;
	size_t offset = size - sizeof(canary);

	assert_non_null(block);
	memset(block, 'x', size);
	memcpy(block + offset, canary, sizeof(canary));
	assert_true(still_there(at, offset));
	put(block);
	return !still_there(at, offset);
}

static char *
by_malloc(size_t size)
{
	return malloc(size);
}

static char *
by_calloc(size_t size)
{
	return calloc(1, size);
}

static char *
by_memalign(size_t size)
{
	void *block = NULL;

	return posix_memalign(&block, 256, size) == 0 ? block : NULL;
}

static void
by_free(char *block)
{
	free(block);
}

static void
by_growing(char *block)
{
	char *larger = realloc(block, malloc_usable_size(block) * 4);

	assert_non_null(larger);
	memset(larger, 0, 64); /* that it is not optimised away */
	free(larger);
}

static void
freed_memory_is_wiped(void **state)
{
	static const size_t sizes[] = { 40, 200, 1500, 40000, 1 << 20 };

	const char *preload = getenv("LD_PRELOAD");

	(void)state;
	if (!HEAP_WIPES || (preload != NULL && strstr(preload, "vgpreload")))
		skip(); /* a sanitizer's or valgrind's */
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_true(is_wiped_by(by_malloc, sizes[i], by_free));
		assert_true(is_wiped_by(by_calloc, sizes[i], by_free));
		assert_true(is_wiped_by(by_memalign, sizes[i], by_free));
		assert_true(is_wiped_by(by_malloc, sizes[i], by_growing));
	}
}

static void
realloc_is_still_realloc(void **state)
{
	volatile size_t too_much = PTRDIFF_MAX / 2;
	char *p = realloc(NULL, 10), *q;

	(void)state;
	assert_non_null(p);
	memcpy(p, "123456789", 10);
	for (size_t size = 20; size < 100000; size *= 3) {
		p = realloc(p, size);
		assert_non_null(p);
		assert_string_equal(p, "123456789");
		assert_true(malloc_usable_size(p) >= size);
	}
	/* A sanitizer would call that an error. */
	if (HEAP_WIPES && (q = realloc(p, too_much)) != NULL)
		abort();
	assert_string_equal(p, "123456789");
	p = realloc(p, 10); /* gives most of it back */
	assert_true(malloc_usable_size(p) < 100);
	assert_string_equal(p, "123456789");
	errno = 7;
	free(p);
	assert_int_equal(errno, 7);
	free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(freed_memory_is_wiped),
		cmocka_unit_test(realloc_is_still_realloc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
