#include "http_turns.h"

#include <stddef.h>
#include <strings.h>

static void
list_add(struct http_turn_list *l, struct http_turn *t)
{
	t->prev = l->last;
	t->next = NULL;
	*(l->last != NULL ? &l->last->next : &l->first) = t;
	l->last = t;
}

static void
list_remove(struct http_turn_list *l, struct http_turn *t)
{
	*(t->prev != NULL ? &t->prev->next : &l->first) = t->next;
	*(t->next != NULL ? &t->next->prev : &l->last) = t->prev;
}

static bool
has_room(const struct http_turns *l, const struct http_turn *t)
{
	int total = 0, here = 0;

	for (const struct http_turn *o = l->begun.first; o != NULL;
	     o = o->next) {
		total++;
		here +=
		    o->once == t->once && strcasecmp(o->origin, t->origin) == 0;
	}
	return total < HTTP_TURNS_TOTAL &&
	       here < (t->once ? HTTP_TURNS_HOST : HTTP_TURNS_SHARED);
}

bool
http_turns_enter(struct http_turns *l, struct http_turn *t)
{
	t->waits = !has_room(l, t);
	list_add(t->waits ? &l->queue : &l->begun, t);
	return !t->waits;
}

struct http_turn *
http_turns_leave(struct http_turns *l, struct http_turn *t)
{
	struct http_turn *next;

	list_remove(t->waits ? &l->queue : &l->begun, t);
	if (t->waits)
		return NULL;
	for (next = l->queue.first; next != NULL; next = next->next)
		if (has_room(l, next)) {
			list_remove(&l->queue, next);
			next->waits = false;
			list_add(&l->begun, next);
			return next;
		}
	return NULL;
}
