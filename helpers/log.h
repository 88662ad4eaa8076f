/*
 * log.h - one line per event, at the edge, in the form
 *
 *     event=token account=relay@contoso.com service=smtp uid=104 result=ok
 *
 * to syslog (facility mail) or to standard error.  Values with blanks are
 * quoted, control characters become '?', long ones are cut.  Nothing of type
 * struct secret can be given to it.
 */
#ifndef HELPERS_LOG_H
#define HELPERS_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

/*
 * stderr_wanted: lines go to standard error instead of syslog; those of
 * LOG_CRIT also do if that is a terminal.  Nobody waits for who reads them:
 * what a full pipe or the syslog's socket does not take is lost, and so is all
 * while there is none.  event=log-lost, with the number of lines, comes before
 * the next that is taken.
 */
void log_open(const char *program, bool stderr_wanted);

/* A line under construction; a value of its scope, nothing to free. */
struct log_line {
	int priority;
	bool nothing; /* takes no fields, and is not sent */
	unsigned len;
	char text[1024];
};

struct log_line log_event(int priority, const char *event);
/* A line that was not worth making. */
struct log_line log_nothing(void);
/* NULL and "" leave the field out. */
void log_str(struct log_line *l, const char *key, const char *value);
void log_int(struct log_line *l, const char *key, int64_t value);
void log_send(struct log_line *l);

#endif
