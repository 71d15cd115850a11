/*
 * What the service manager is told of a service of Type=notify: sd_notify(3), whose protocol is a datagram for each
 * message to the socket that $NOTIFY_SOCKET names. Where there is none, all of this does nothing. There is one service
 * manager, as there is one standard error.
 */
#pragma once

#include "base/util.h"

#include <sys/types.h>

struct buf;

/*
 * From now on the service counts as started (READY=1), and a thread of its own, in which all signals are blocked,
 * answers the watchdog ($WATCHDOG_USEC, sd_watchdog_enabled(3)) twice as often as it is asked to. Once a process, after
 * stop_init().
 */
void service_begin(void);

/* Is there anybody to tell? */
bool service_is_heard(void);

/*
 * What is being done, one line: for `systemctl status`. It is sent not more often than once a second, unless
 * @is_new, when something else than before is being done; and it never waits.
 */
void service_status(const char *text, bool is_new);

/* What is done now cannot be cut short and may take longer than the manager waits: as long as it @lasts, more time is
 * asked for (EXTEND_TIMEOUT_USEC). */
void service_lasts(bool lasts);

/* The service is about to end (STOPPING=1), */
void service_stopping(void);

/* and nobody is told anything any more: the thread has ended when this returns. */
void service_end(void);

/* ---- pure ---- */

/* "STATUS=text", in which nothing can be taken for another message. Return 0 or -ENOMEM. */
int service_put_status(struct buf *out, const char *text);

/*
 * The interval in microseconds in which the watchdog wants to hear of us, by $WATCHDOG_USEC and $WATCHDOG_PID, either
 * of which may be NULL; 0 when it does not, or means the process @pid no more than others.
 */
uint64_t service_watchdog_us(const char *usec, const char *pid, pid_t self);
