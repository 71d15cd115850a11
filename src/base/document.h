/*
 * A JSON document (RFC 8259) in the making, by json-c. The first failure, which can only be memory that is short, is
 * kept: after it all calls do nothing, and document_write() returns it. Texts must be UTF-8, which path_show() makes of
 * anything.
 */
#pragma once

#include "base/util.h"

#include <time.h>

struct buf;

enum { DOCUMENT_DEPTH_MAX = 8 };

struct document {
        struct buf *to; /* borrowed */
        int r;
        unsigned depth;
        char closing[DOCUMENT_DEPTH_MAX]; /* of what is open: '}' or ']' */
        bool has_members;                 /* the innermost one, already */
};

/* An object that is empty, appended to @to. */
void document_begin(struct document *d, struct buf *to);
/* Everything in it must have ended. Return 0 or -ENOMEM. */
int document_finish(struct document *d);

/* What comes until document_end() is inside of it. @key is NULL for what stands in an array; so everywhere. */
void document_begin_object(struct document *d, const char *key);
void document_begin_array(struct document *d, const char *key);
void document_end(struct document *d);

/* @text NULL: null. */
void document_text(struct document *d, const char *key, const char *text);
void document_number(struct document *d, const char *key, int64_t n);
void document_count(struct document *d, const char *key, uint64_t n);
/* With three digits behind the point. */
void document_seconds(struct document *d, const char *key, double seconds);
void document_flag(struct document *d, const char *key, bool yes);
/* RFC 3339, in UTC, to the second. */
void document_time(struct document *d, const char *key, time_t time);
