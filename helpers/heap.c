#include "heap.h"

#if HEAP_WIPES
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "secret.h"

#define EXPORTED __attribute__((visibility("default")))

static void (*give_back)(void *block);

/* Before anybody has a thread or a secret. */
static void __attribute__((constructor)) find_the_door(void)
{
	*(void **)&give_back = dlsym(RTLD_NEXT, "free");
}

/*
 * A block from before the constructor is not given back: there are a few, of
 * the dynamic linker and of libraries that are initialised earlier.
 */
EXPORTED void
free(void *block)
{
	int saved = errno;

	if (block == NULL || give_back == NULL)
		return;
	secret_erase(block, malloc_usable_size(block));
	give_back(block);
	errno = saved;
}

/* Stays where it is as long as it fits and does not waste the half of it. */
EXPORTED void *
realloc(void *block, size_t size)
{
	size_t has = block != NULL ? malloc_usable_size(block) : 0;
	void *larger;

	if (block != NULL && size == 0) {
		free(block);
		return NULL;
	}
	if (size <= has && size >= has / 2 && block != NULL)
		return block;
	if ((larger = malloc(size > 0 ? size : 1)) == NULL)
		return NULL;
	if (block != NULL) {
		memcpy(larger, block, has < size ? has : size);
		free(block);
	}
	return larger;
}
#endif
