/* cli_questions.h - what a new account's section needs, asked for or listed. */
#ifndef HELPERS_CLI_QUESTIONS_H
#define HELPERS_CLI_QUESTIONS_H

#include "cli_section.h"
#include "diag.h"

/*
 * Asks at the terminal for what is not set yet, and sets it.  Returns -1 with
 * *reterr (CONFIG: given up; NOMEM).
 */
int questions_ask(struct section *s, struct diag *reterr);

/* 0, or -1 and *reterr (CONFIG) lists the options that are missing. */
int questions_missing(const struct section *s, struct diag *reterr);

#endif
