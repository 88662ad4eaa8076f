/*
 * form.h - the encodings of requests and tokens: application/x-www-form-
 * urlencoded (RFC 6749 appendix B), base64 (RFC 4648 section 4), base64url
 * without padding (section 5, as RFC 7515 section 2 has it), and strings of
 * JSON.  Failures of what appends show in the buffer, as with buf.h.
 */
#ifndef CORE_FORM_H
#define CORE_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "secret.h"

void form_encode(struct buf *b, const char *s, size_t n);
/* Appends "key=value", behind a '&' if it is not the first. */
void form_add(struct buf *b, const char *key, const char *value, size_t n);
/*
 * The decoded value of key in a query or form.  1 and *ret; 0 if it is not
 * there, -1 if it is there twice, badly encoded, holds a NUL, or there is no
 * memory: *ret is untouched, then.
 */
int form_get(const char *form, size_t len, const char *key, struct secret *ret);

void base64_add(struct buf *b, const char *s, size_t n);
void base64url_add(struct buf *b, const char *s, size_t n);
/*
 * Appends what s decodes to; false (b is as it was, or failed) if it is no
 * base64.  Padding may be missing; both alphabets are taken.
 */
bool base64_decode(struct buf *b, const char *s, size_t n);

/*
 * Appends s in quotes as JSON has it (RFC 8259 section 7); bytes above 0x7f
 * are left alone.
 */
void json_string_add(struct buf *b, const char *s);

#endif
