#include "metrics.h"

#include "wire.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))

/* Milliseconds; the http_timeout by default is 20 s. */
static const int32_t limits_ms[] = { 100, 250, 500, 1000, 2500, 5000, 10000,
	30000 };
_Static_assert(N(limits_ms) == METRICS_LIMITS, "a count for each limit");

static const char *const sockets[] = {
	[LISTENER_AGENT] = "agent",
	[LISTENER_SOCKETMAP] = "socketmap",
};
_Static_assert(N(sockets) == LISTENER__COUNT, "a word for each kind");

void
tally_add(struct tally *t, enum diag_kind kind)
{
	t->n[kind < TALLY_KINDS ? kind : DIAG_RETRY]++;
}

void
metrics_time(struct metrics *m, int64_t ms)
{
	size_t i = 0;

	if (ms < 0)
		ms = 0;
	while (i < METRICS_LIMITS && ms > limits_ms[i])
		i++;
	if (i < METRICS_LIMITS)
		m->times[i]++;
	m->timed++;
	m->time_ms += ms;
}

/* A list of words and their counts is one value: "ok 5 retry 0". */
static void
put_count(struct buf *list, const char *word, int64_t n)
{
	if (list->len > 0)
		buf_adds(list, " ");
	buf_adds(list, word);
	buf_adds(list, " ");
	buf_addi(list, n);
}

static void
put_list(struct buf *b, const char *key, const struct buf *list)
{
	if (list->failed)
		b->failed = true;
	wire_put_bytes(b, key, list->ptr, list->len);
}

static void
put_tally(struct buf *b, const char *key, const struct tally *t)
{
	auto_buf struct buf list = BUF_INIT(256);

	for (size_t i = 0; i < TALLY_KINDS; i++)
		put_count(&list, diag_kind_name((enum diag_kind)i), t->n[i]);
	put_list(b, key, &list);
}

static void
put_sockets(struct buf *b, const char *key, const uint32_t *n)
{
	auto_buf struct buf list = BUF_INIT(256);

	for (size_t i = 0; i < LISTENER__COUNT; i++)
		put_count(&list, sockets[i], n[i]);
	put_list(b, key, &list);
}

static void
put_times(struct buf *b, const struct metrics *m)
{
	auto_buf struct buf list = BUF_INIT(256);

	for (size_t i = 0; i < METRICS_LIMITS; i++) {
		if (i > 0)
			buf_adds(&list, " ");
		buf_addi(&list, limits_ms[i]);
		buf_adds(&list, " ");
		buf_addi(&list, m->times[i]);
	}
	put_list(b, "renewal_ms", &list);
	wire_put_int(b, "renewal_ms_sum", m->time_ms);
	wire_put_int(b, "renewal_ms_count", m->timed);
}

void
metrics_put_account(struct buf *b, const struct account_metrics *m)
{
	put_tally(b, "renewals", &m->renewals);
	put_tally(b, "gets", &m->gets);
	wire_put_int(b, "rejects", m->rejects);
}

void
metrics_put(struct buf *b, const struct metrics *m)
{
	metrics_put_account(b, &m->all);
	put_tally(b, "lookups", &m->lookups);
	put_sockets(b, "accepted", m->accepted);
	put_sockets(b, "refused", m->refused);
	put_times(b, m);
}
