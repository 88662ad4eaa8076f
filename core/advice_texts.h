/*
 * advice_texts.h - what mail servers say and programs on this host log when a
 * login fails -> who must act, the cause, what to do.  Data only, as
 * advice_table.h has it; cause and todo have 470 bytes at most together.
 */
#ifndef CORE_ADVICE_TEXTS_H
#define CORE_ADVICE_TEXTS_H

#include "advice_table.h"

/* Key: a pattern, for the words of an SMTP, IMAP or POP3 server. */
extern const struct advice_rows advice_server_texts;
/* Key: a pattern, for what Postfix, Dovecot, SASL and we ourselves log. */
extern const struct advice_rows advice_local_texts;

#endif
