/*
 * init.c - what sasl_client_init() costs the program that calls it.
 *
 * Prints its time in nanoseconds, how many objects are mapped afterwards, and
 * how many kB of private dirty memory there are more than before.  $SASL_PATH
 * says where the plugins are.
 */
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <sasl/sasl.h>

static int64_t
now_ns(void)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int
count_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)info;
	(void)size;
	++*(int *)arg;
	return 0;
}

/* In kB; -1 if the kernel does not tell. */
static int
private_dirty(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	int kb = -1;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Private_Dirty: %d kB", &kb) == 1)
			break;
	if (f != NULL)
		(void)fclose(f);
	return kb;
}

int
main(void)
{
	int objects = 0, before, after;
	int64_t start, end;

	(void)private_dirty(); /* what stdio needs is not SASL's */
	before = private_dirty();
	start = now_ns();
	if (sasl_client_init(NULL) != SASL_OK)
		return 1;
	end = now_ns();
	after = private_dirty();
	(void)dl_iterate_phdr(count_object, &objects);
	printf(
	    "%lld %d %d\n", (long long)(end - start), objects, after - before);
	sasl_done();
	return 0;
}
