/*
 * ask.h - what the mechanism must know from its host: who logs in, and the
 * password.  By the host's callbacks, or by prompts that it answers.
 */
#ifndef SASL_PLUGIN_ASK_H
#define SASL_PLUGIN_ASK_H

#include <stdbool.h>
#include <stddef.h>

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

/* What is asked of the host, in the order in which a person is asked. */
enum ask { ASK_USER, ASK_AUTHNAME, ASK_PASS, ASK__COUNT };

/* Borrowed from the host for one step; ptr is NULL if there is none. */
struct answer {
	const char *ptr;
	size_t len;
};

/* Of one connection; all zero at first. */
struct asking {
	sasl_interact_t *prompts;	/* the host is asking somebody */
	bool prompted;			/* it has been told to, once */
};

/*
 * Fills in answers[ASK__COUNT].  Returns SASL_OK; SASL_INTERACT, and the host comes back
 * with the answers to *prompt_need; or a failure, and *why says what failed.
 * Nothing is asked twice.
 */
int ask_host(struct asking *k, const sasl_client_params_t *params,
	sasl_interact_t **prompt_need, struct answer *answers,
	const char **why);
/* For the end of the connection. */
void ask_free(struct asking *k, const sasl_utils_t *utils);

#endif
