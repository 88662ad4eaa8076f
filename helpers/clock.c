#include "clock.h"

#include <time.h>

static int64_t offset_ms; /* wall - boot time, at the start */

static int64_t
read_ms(clockid_t id)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
clock_start(void)
{
	offset_ms = read_ms(CLOCK_REALTIME) - read_ms(CLOCK_BOOTTIME);
}

int64_t
clock_now_ms(void)
{
	return read_ms(CLOCK_BOOTTIME) + offset_ms;
}

int64_t
clock_now_s(void)
{
	return clock_now_ms() / 1000;
}
