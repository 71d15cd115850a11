/* Questions on the terminal, with and without showing what is typed. */
#pragma once

#include "base/util.h"

struct err;
struct secret;

/* What is longer is refused; the same as cryptsetup's own limit for what is typed. */
enum { PROMPT_SIZE_MAX = 512 };

enum prompt_outcome { PROMPT_ANSWERED, PROMPT_CANCELLED, PROMPT_TIMED_OUT };

/* Is there a terminal to ask on: are standard input and standard error one? */
bool prompt_is_possible(void);

/*
 * Show @question on standard error and wait for a line on standard input; on the main thread, after stop_init(). The
 * line is edited by the terminal with the user's own keys (backspace, ctrl-U, ...); ctrl-D ends it, with nothing typed
 * it cancels. The bytes are as typed. Keys that would suspend or kill us mean nothing while it is asked, and whatever
 * was typed before it is not the answer. The terminal is as it was before when this returns.
 *
 * Return a prompt_outcome; -ECANCELED with @err filled when a stop is requested (ctrl-C); -EMSGSIZE with @err filled
 * for an answer that is too long; or another negative errno with @err filled. *ret is set up when PROMPT_ANSWERED; an
 * empty line is an answer too.
 */
int prompt_secret(struct secret *ret, const char *question, unsigned timeout_s, struct err *err);

/* The same, and what is typed is shown: for what is no secret. */
int prompt_line(struct secret *ret, const char *question, unsigned timeout_s, struct err *err);
