#include "visitor.h"

#include <event2/event.h>

#include "clock.h"
#include "log.h"

static bool
refuse(const struct server *s, const struct peer *p)
{
	struct log_line l = log_event(LOG_WARNING, "too-many-connections");

	log_int(&l, "uid", p->uid);
	log_int(&l, "connections", s->sessions);
	log_send(&l);
	return false;
}

bool
visitor_admit(struct server *s, int fd, struct peer *ret)
{
	struct log_line l;

	*ret = (struct peer){ (uid_t)-1, (gid_t)-1, 0 };
	if (!peer_of(fd, ret)) {
		l = log_event(LOG_WARNING, "bad-request");
		log_str(&l, "text",
		    "this is no UNIX socket: nobody knows who is asking");
		log_send(&l);
		return false;
	}
	if (s->sessions >= s->config->max_connections ||
	    !peer_count_in(ret->uid, s->config->max_connections_per_uid))
		return refuse(s, ret);
	s->sessions++;
	return true;
}

void
visitor_leave(struct server *s, const struct peer *p)
{
	peer_count_out(p->uid);
	s->sessions--;
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
