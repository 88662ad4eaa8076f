#include "clock.h"

#include <time.h>

/* Times are int64_t here, but those of the system and of libraries, too. */
_Static_assert(sizeof(time_t) >= 8, "it must outlive 2038");

#define SAME_MS 20 /* reading two clocks takes its time */
#define TRIES	5  /* to do it without a pause in between */

static int64_t
read_ms(clockid_t id)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
clock_now_ms(void)
{
	return read_ms(CLOCK_BOOTTIME);
}

int64_t
clock_wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

int64_t
clock_now_s(void)
{
	return clock_wall_ms() / 1000;
}

int64_t
clock_slept_ms(void)
{
	int64_t awake = read_ms(CLOCK_MONOTONIC);

	return clock_now_ms() - awake;
}

int64_t
clock_ahead_ms(void)
{
	int64_t ahead = 0, before, after;

	for (int i = 0; i < TRIES; i++) {
		before = clock_now_ms();
		ahead = clock_wall_ms() - before;
		after = clock_now_ms();
		if (after - before <= SAME_MS / 4)
			break;
	}
	return ahead;
}

/* The same until the wall clock is set: the kernel slews both alike. */
static int64_t
settled_ahead_ms(void)
{
	static int64_t ahead;
	int64_t is = clock_ahead_ms();

	if (is < ahead - SAME_MS || is > ahead + SAME_MS)
		ahead = is;
	return ahead;
}

int64_t
clock_wall_s(int64_t ms)
{
	int64_t wall = ms + settled_ahead_ms();

	return wall > 0 ? wall / 1000 : 0;
}
