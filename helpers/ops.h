/* ops.h - the operations of docs/PROTOCOL.md, and who may do each. */
#ifndef HELPERS_OPS_H
#define HELPERS_OPS_H

#include "session.h"
#include "wire.h"

/* Runs a whole request; the session is answered, waits, or has ended. */
void ops_run(struct session *s, const struct wire_msg *msg);

#endif
