/*
 * The wish to end: SIGINT, SIGTERM, SIGHUP, and what else is sent to end a process, are blocked and read from a
 * signalfd on the main thread; whoever works asks stop_requested() between entries and between the pieces of a large
 * file.
 */
#pragma once

#include "base/util.h"

struct err;

/* Block the signals and open the signalfd. Before any thread is started; once a process. */
int stop_init(struct err *err);

/* Close the signalfd, when no other thread is left. The signals stay blocked, and what was requested stays known. */
void stop_deinit(void);

/* The signalfd, for poll(); -1 when there is none. */
int stop_fd(void);

/* Main thread only: take what has arrived. */
void stop_poll(void);

bool stop_requested(void);

/* Ask for it ourselves, as a signal would: @who does, a static text for messages ("the client"). The first who asks is
 * named. From any thread. */
void stop_request(const char *who);

/* The signal that asked for it, 0 if none. */
int stop_signal(void);

/* Microseconds of CLOCK_MONOTONIC. */
uint64_t stop_now_us(void);

/* When @timeout_s seconds from now are over: microseconds of CLOCK_MONOTONIC; 0, never, for a timeout of 0. */
uint64_t stop_deadline_us(unsigned timeout_s);

/* What is left of it, as poll(2) takes it: milliseconds, -1 for never. */
int stop_left_ms(uint64_t deadline_us);

enum stop_wait { STOP_WAIT_READY, STOP_WAIT_TIMED_OUT };

/*
 * Main thread only: wait until @fd can be read (or is at its end, or broken), no longer than to the deadline. Return a
 * stop_wait; -ECANCELED with @err filled when a stop is requested, which comes first; or another negative errno with
 * @err filled.
 */
int stop_wait(int fd, uint64_t deadline_us, struct err *err);

/*
 * The same on any thread and for any @events of poll(2). The main thread notices a stop at once, others within a fifth
 * of a second.
 */
int stop_wait_for(int fd, short events, uint64_t deadline_us, struct err *err);

/* If a stop is requested fill @err (kind ERR_RUN) and return -ECANCELED, else 0. On the main thread polls first. */
int stop_check(struct err *err);
