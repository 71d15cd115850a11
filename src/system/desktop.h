/*
 * Desktop notifications: org.freedesktop.Notifications of the Desktop Notifications Specification, to everybody who
 * sits at a screen of this machine (sessions.h). Nothing about them can fail, hang, or take longer than a second: what
 * does not work is a message of level debug.
 */
#pragma once

#include "base/util.h"

enum desktop_urgency { DESKTOP_LOW, DESKTOP_NORMAL, DESKTOP_CRITICAL }; /* the numbers are the specification's */

struct desktop_note {
        const char *summary; /* plain text in UTF-8 */
        const char *body;    /* with markup: what is none went through desktop_put_text() */
        const char *icon;    /* of the Icon Naming Specification */
        enum desktop_urgency urgency;
};

/*
 * Notes on their way, by a thread for each user. A user's bus lets in nobody but the user: such a thread of root takes
 * his identity, in which he can neither signal nor trace it, and ends.
 */
struct desktop_mail;

/*
 * @note goes on its way, after what is still left of @before (may be NULL; taken over). May return NULL when nobody is
 * there.
 */
struct desktop_mail *desktop_send(const struct desktop_note *note, struct desktop_mail *before);

/* It has arrived, or its second is over; frees @mail (may be NULL). */
void desktop_await(struct desktop_mail *mail);

/* ---- pure ---- */

struct buf;

/* Append plain text to a body: markup is escaped, control characters and what is no UTF-8 become '?'. Return 0 or
 * -ENOMEM. */
int desktop_put_text(struct buf *out, const char *text);
