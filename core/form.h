/*
 * form.h - the encodings of a token request: application/x-www-form-urlencoded
 * (RFC 6749 appendix B) and base64 (RFC 4648 section 4).  Failures show in the
 * buffer, as with buf.h.
 */
#ifndef CORE_FORM_H
#define CORE_FORM_H

#include <stddef.h>

#include "buf.h"

void form_encode(struct buf *b, const char *s, size_t n);
/* Appends "key=value", behind a '&' if it is not the first. */
void form_add(struct buf *b, const char *key, const char *value, size_t n);
void base64_add(struct buf *b, const char *s, size_t n);

#endif
