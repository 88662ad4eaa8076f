/*
 * config_user.h - where a user's own agent and its commands keep their things
 * (XDG Base Directory Specification), from the environment (secure_getenv):
 *
 *     $XDG_CONFIG_HOME/mailtoken/mailtoken.conf   ~/.config
 *     $XDG_STATE_HOME/mailtoken                   ~/.local/state
 *     $XDG_RUNTIME_DIR/mailtoken/agent.sock
 */
#ifndef CORE_CONFIG_USER_H
#define CORE_CONFIG_USER_H

#include "config_data.h"
#include "diag.h"

#define CONFIG_USER_IDLE_S 600 /* idle_exit, if the file does not say */

/* The caller frees.  NULL: no home directory is known, or no memory. */
char *config_user_path(void);

/*
 * Puts the user's places where the file gives none: state_dir, listen and
 * idle_exit.  The user is whoever runs us, whatever the file says.  Returns
 * -1 with *reterr (CONFIG: XDG_RUNTIME_DIR or HOME is not set, and what to do;
 * NOMEM).
 */
int config_user_defaults(struct config *c, struct diag *reterr);

#endif
