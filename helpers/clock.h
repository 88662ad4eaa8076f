/*
 * clock.h - Unix time that never steps: the wall clock as it was at
 * clock_start(), carried on by a clock that counts suspended time too.
 */
#ifndef HELPERS_CLOCK_H
#define HELPERS_CLOCK_H

#include <stdint.h>

void clock_start(void);
int64_t clock_now_ms(void);
int64_t clock_now_s(void);

#endif
