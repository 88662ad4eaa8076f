/*
 * lookup.h - a client of the lookup table that Postfix has instead of a
 * password file (smtp_sasl_password_maps = socketmap:...:sasl): any number of
 * keys on one connection, one at a time.
 *
 * The key is a sender or a next hop, the value USER:mailtoken:ACCOUNT, which
 * is no secret; with `socketmap_answer = token` USER:TOKEN, for XOAUTH2
 * plugins that know no agent.  Who may not have the account's token gets
 * neither.
 */
#ifndef HELPERS_LOOKUP_H
#define HELPERS_LOOKUP_H

#include "server.h"

#define LOOKUP_MAP     "sasl" /* the only table */
#define LOOKUP_IDLE_MS 100000 /* Postfix keeps a connection no longer */
#define LOOKUP_LEAVE_MS 2000  /* for what is half asked or half taken */

/* Takes the connection over. */
void lookup_start(struct server *s, int fd);
/*
 * The agent leaves: hangs up on those who ask nothing now, and soon on those
 * who are slow.
 */
void lookup_leave(struct server *s);

#endif
