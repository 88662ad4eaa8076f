/*
 * heap.h - memory that is given back is overwritten, whoever had it: libcurl,
 * OpenSSL, json-c and libc know nothing of secrets, and they copy requests
 * and answers, in which tokens are.  What we hold ourselves is in secret.h's
 * hands already.
 *
 * There is nothing to call: to be linked with it is enough.  The allocator
 * stays the C library's; free() and realloc() are the only doors by which a
 * block goes back, and the dynamic linker finds ours first, for all libraries
 * of the process.  Sanitizers and valgrind bring doors of their own.
 *
 * Out of reach: what is on a stack, and what is still held.
 */
#ifndef HELPERS_HEAP_H
#define HELPERS_HEAP_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HEAP_WIPES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define HEAP_WIPES 0
#endif
#endif
#ifndef HEAP_WIPES
#define HEAP_WIPES 1
#endif

#endif
