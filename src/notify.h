/* What people at the screens of this machine are told of a run: the words. system/desktop.h tells them. */
#pragma once

#include "system/desktop.h"

struct outcome;

/* A note, and what it owns. */
struct notify_words {
        struct desktop_note note;
        char *summary, *body;
};

void notify_deinit(struct notify_words *w);

/* The run has begun, or it has ended, by @o. Return 0 or -ENOMEM, with nothing to deinit. */
int notify_started(struct notify_words *ret, const struct outcome *o);
int notify_ended(struct notify_words *ret, const struct outcome *o);
