#include "gate.h"

#define AGAIN_MS 500 /* while too many are under way */

bool
gate_is_down(const struct gate *g)
{
	return g->failures >= GATE_FAILURES;
}

bool
gate_is_back(const struct gate *g, int64_t since)
{
	return !gate_is_down(g) && g->up_ms > since;
}

bool
gate_is_busy(const struct gate *g, int64_t now)
{
	return !gate_is_down(g) && g->up_ms != 0 &&
	       now - g->up_ms < GATE_SPREAD_MS;
}

/* One at a time, to see whether it is back. */
static bool
may_probe(const struct gate *g, int64_t now, int64_t *ret)
{
	*ret = now;
	if (g->in_flight == 0 && now >= g->probe_ms)
		return true;
	*ret = g->probe_ms > now ? g->probe_ms : now + AGAIN_MS;
	return false;
}

/*
 * After an outage all ask at one pace, whoever wants it; some can wait for
 * their turn.
 */
static bool
take_slot(struct gate *g, int64_t now, int64_t wait, int64_t *ret)
{
	int64_t apart =
	    g->accounts > 0 ? GATE_HURRY_MS / (int64_t)g->accounts : 0;

	*ret = now < g->slot_ms ? g->slot_ms : now;
	if (*ret > now + wait)
		return false;
	if (apart > GATE_SLOT_MAX_MS)
		apart = GATE_SLOT_MAX_MS;
	/* What nobody took a moment ago is not lost. */
	g->slot_ms += apart;
	if (g->slot_ms < now - GATE_SLOT_MAX_MS)
		g->slot_ms = now - GATE_SLOT_MAX_MS;
	return true;
}

bool
gate_admits_asker(struct gate *g, int64_t now, int64_t *ret)
{
	if (gate_is_down(g))
		return may_probe(g, now, ret);
	*ret = now;
	return !gate_is_busy(g, now) || take_slot(g, now, GATE_WAIT_MS, ret);
}

bool
gate_admits(struct gate *g, int64_t now, int64_t *ret)
{
	size_t max = g->proven ? GATE_UP_MAX : GATE_NEW_MAX;

	if (gate_is_down(g))
		return may_probe(g, now, ret);
	if (g->in_flight >= max) {
		*ret = now + AGAIN_MS;
		return false;
	}
	return !gate_is_busy(g, now) || take_slot(g, now, 0, ret);
}

void
gate_started(struct gate *g)
{
	g->in_flight++;
}

static void
failed(struct gate *g, int64_t now, const void *who, int64_t retry_after_s)
{
	int64_t wait = GATE_PROBE_MS;

	/* An account's own trouble, however often, is not the provider's. */
	if (gate_is_down(g) || who != g->failed)
		g->failures++;
	g->failed = who;
	/* Nor is what it was told until then. */
	if (!gate_is_down(g))
		return;
	for (unsigned i = GATE_FAILURES;
	     i < g->failures && wait < GATE_PROBE_MAX_MS; i++)
		wait *= 2;
	if (wait > GATE_PROBE_MAX_MS)
		wait = GATE_PROBE_MAX_MS;
	if (retry_after_s > GATE_TOLD_MAX_MS / 1000)
		retry_after_s = GATE_TOLD_MAX_MS / 1000;
	if (wait < retry_after_s * 1000)
		wait = retry_after_s * 1000;
	if (g->probe_ms < now + wait)
		g->probe_ms = now + wait;
}

static void
answered(struct gate *g, int64_t now)
{
	if (gate_is_down(g))
		g->up_ms = g->slot_ms = now;
	g->proven = true;
	g->failures = 0;
	g->failed = NULL;
	g->probe_ms = 0;
}

void
gate_ended(struct gate *g, int64_t now, enum gate_end end, const void *who,
    int64_t retry_after_s)
{
	if (g->in_flight > 0)
		g->in_flight--;
	switch (end) {
	case GATE_ANSWERED:
		answered(g, now);
		break;
	case GATE_FAILED:
		failed(g, now, who, retry_after_s);
		break;
	case GATE_NEVER_ASKED:
		break;
	}
}
