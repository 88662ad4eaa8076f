/*
 * doubts.h - which mailboxes have refused a token that opens many of them: if
 * one of them refuses a newer one too, no new token helps it, and it must not
 * have the others' renewed every minute.
 */
#ifndef HELPERS_DOUBTS_H
#define HELPERS_DOUBTS_H

#include <stdbool.h>
#include <stdint.h>

#define DOUBTS_N 64 /* mailboxes that are remembered */

struct doubt {
	uint64_t user; /* hashed; 0: none */
	int64_t generation;
	int64_t at_ms;
};

/*
 * user has refused this generation; has it refused an older one, less than
 * within_ms ago?  *table is made if it is NULL, and freed by free(3).
 */
bool doubts_again(struct doubt **table, const char *user, int64_t generation,
    int64_t now_ms, int64_t within_ms);
/* FNV-1a. */
uint64_t doubts_hash(const char *s);

#endif
