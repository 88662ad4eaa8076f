/* report.h - what the agent tells of its accounts: `status` and `metrics`. */
#ifndef HELPERS_REPORT_H
#define HELPERS_REPORT_H

#include "live.h"
#include "session.h"

/* Answer, as docs/PROTOCOL.md has it; of all accounts if l is NULL. */
void report_status(struct session *s, struct live *l);
void report_metrics(struct session *s);

#endif
