/*
 * Messages to the journal with fields (sd_journal_sendv(3)), instead of lines on standard error that it would read:
 * docs/systemd.md lists the fields, and the MESSAGE_ID of each kind of event.
 */
#pragma once

#include "base/log.h"

/* From now on messages that go to the journal take this way. Without libsystemd they stay lines. */
void journal_begin(void);

/* ---- pure ---- */

enum { JOURNAL_ID_SIZE = 33 };

/* 32 hexadecimal digits that never change their meaning; NULL for LOG_EVENT_NONE. */
const char *journal_id(enum log_event event);
