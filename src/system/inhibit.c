/* org.freedesktop.login1(5): Inhibit() answers with a descriptor. */
#include "system/inhibit.h"

#include "base/log.h"
#include "system/bus.h"

#include <errno.h>
#include <fcntl.h>

static int ask(sd_bus *bus, const char *why, sd_bus_message **ret)
{
        sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(bus, &m, "org.freedesktop.login1", "/org/freedesktop/login1",
                                               "org.freedesktop.login1.Manager", "Inhibit");

        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_message_append(m, "ssss", "sleep", "rsync-system-backup", why, "block");
        if (r >= 0)
                r = bus_call(bus, m, bus_deadline_us(BUS_PATIENCE_MS), ret);
        sd_bus_message_unref(m);
        return r;
}

/* The message's own descriptor goes with it. */
static int take_descriptor(sd_bus_message *answer)
{
        int fd, r = sd_bus_message_read(answer, "h", &fd);

        if (r < 0)
                return r;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? -errno : fd;
}

int inhibit_sleep(const char *why)
{
        _cleanup_(bus_closep) sd_bus *bus = NULL;
        sd_bus_message *answer = NULL;
        int r = bus_open_system(&bus, true);

        if (r >= 0)
                r = ask(bus, why, &answer);
        if (r >= 0)
                r = take_descriptor(answer);
        sd_bus_message_unref(answer);
        if (r >= 0)
                return r;
        log_debug("the machine cannot be kept from going to sleep: %s", strerror(-r));
        return -1;
}
