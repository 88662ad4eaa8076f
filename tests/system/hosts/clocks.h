/*
 * clocks.h - for what is preloaded to change a process's clocks: it replaces
 * clock_gettime(), and clocks.c makes the rest of it.
 */
#ifndef HOSTS_CLOCKS_H
#define HOSTS_CLOCKS_H

#include <time.h>

#define NS_PER_S 1000000000

/* What is exported in place of libc's. */
#define REPLACES __attribute__((visibility("default")))

enum clocks { WALL, MONOTONIC, BOOT, CLOCKS };

/* The clock that id reads, however finely; CLOCKS: none that we change. */
enum clocks clocks_which(clockid_t id);

#endif
