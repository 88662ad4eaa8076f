#include "visitor.h"

#include <event2/event.h>

#include "clock.h"
#include "known.h"
#include "ration.h"

/* Lines in the log: at most at once, and in a second. */
#define KNOWN_LINES	    2000
#define KNOWN_LINES_PER_S   100
#define STRANGE_LINES	    20
#define STRANGE_LINES_PER_S 1
#define SPARE_DESCRIPTORS   128 /* for renewals, files and ourselves */

/* Nobody's lines keep back those of another user whom somebody allows. */
static struct ration *
ration_for(const struct peer *p, int64_t now_ms)
{
	static struct ration strangers; /* who are any number of uids */
	static struct rations known;

	return p->known ?
		   rations_find(&known, p->uid, now_ms, KNOWN_LINES_PER_S) :
		   &strangers;
}

struct log_line
visitor_line(const struct peer *p, int priority, const char *event)
{
	int64_t now_ms = clock_now_ms();
	struct log_line l;
	uint64_t kept_back = 0;

	if (!ration_take(ration_for(p, now_ms), now_ms,
		p->known ? KNOWN_LINES : STRANGE_LINES,
		p->known ? KNOWN_LINES_PER_S : STRANGE_LINES_PER_S, &kept_back))
		return log_nothing();
	l = log_event(priority, event);
	if (kept_back > 0)
		log_int(&l, "kept_back", (int64_t)kept_back);
	return l;
}

/* Renewals need descriptors, too. */
static unsigned
ceiling(const struct server *s)
{
	unsigned max = s->config->max_connections;
	unsigned spare = s->descriptors / 4;

	if (spare > SPARE_DESCRIPTORS)
		spare = SPARE_DESCRIPTORS;
	if (s->descriptors > 0 && max > s->descriptors - spare)
		max = s->descriptors - spare;
	return max;
}

/* How many this peer may have now, itself included; 0: there is no room. */
static unsigned
share(const struct server *s, const struct peer *p)
{
	unsigned max = ceiling(s), most = s->config->max_connections_per_uid;
	unsigned left, quarter = max / 4;

	if (s->sessions >= max)
		return 0;
	left = max - s->sessions;
	if (!p->known && s->strangers >= (quarter > 0 ? quarter : 1))
		return 0;
	return left <= quarter && most > left ? left : most;
}

static bool
refuse(const struct server *s, const struct peer *p)
{
	struct log_line l =
	    visitor_line(p, LOG_WARNING, "too-many-connections");

	log_int(&l, "uid", p->uid);
	log_int(&l, "connections", s->sessions);
	log_send(&l);
	return false;
}

bool
visitor_admit(struct server *s, int fd, struct peer *ret)
{
	struct log_line l;

	*ret = (struct peer){ .uid = (uid_t)-1, .gid = (gid_t)-1 };
	if (!peer_of(fd, ret)) {
		l = visitor_line(ret, LOG_WARNING, "bad-request");
		log_str(&l, "text",
		    "this is no UNIX socket: nobody knows who is asking");
		log_send(&l);
		return false;
	}
	/* Without memory for the list nobody is kept out by it. */
	ret->known =
	    !known_set(&s->known, s->config) || known_peer(s->known, fd, ret);
	if (!peer_count_in(ret->uid, share(s, ret)))
		return refuse(s, ret);
	s->sessions++;
	s->strangers += !ret->known;
	return true;
}

void
visitor_leave(struct server *s, const struct peer *p)
{
	peer_count_out(p->uid);
	s->sessions--;
	s->strangers -= !p->known;
	server_session_ended(s);
}

bool
visitor_watch(struct event **e, const struct server *s, int fd, short what,
    int64_t deadline_ms, void (*ready)(int fd, short what, void *arg),
    void *arg)
{
	int64_t left = deadline_ms - clock_now_ms();
	struct timeval tv = { 0, 0 };

	if (left > 0) {
		tv.tv_sec = (time_t)(left / 1000);
		tv.tv_usec = (suseconds_t)(left % 1000 * 1000);
	}
	if (*e == NULL)
		*e = event_new(s->base, -1, 0, ready, arg);
	return *e != NULL && event_del(*e) == 0 &&
	       event_assign(
		   *e, s->base, what != 0 ? fd : -1, what, ready, arg) == 0 &&
	       event_add(*e, &tv) == 0;
}
