#include "clock.h"

#include <time.h>

/* Times are int64_t here, but those of the system and of libraries, too. */
_Static_assert(sizeof(time_t) >= 8, "it must outlive 2038");

#define SAME_MS 20 /* reading two clocks takes its time */

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

/* How far the wall clock is ahead; the kernel slews both alike. */
static int64_t
ahead_ms(void)
{
	static int64_t ahead;
	int64_t is = clock_wall_ms() - clock_now_ms();

	if (is < ahead - SAME_MS || is > ahead + SAME_MS)
		ahead = is;
	return ahead;
}

int64_t
clock_wall_s(int64_t ms)
{
	int64_t wall = ms + ahead_ms();

	return wall > 0 ? wall / 1000 : 0;
}
