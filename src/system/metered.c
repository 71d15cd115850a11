/* The property Metered of org.freedesktop.NetworkManager: NMMetered in its documentation. */
#include "system/metered.h"

#include "base/log.h"
#include "system/bus.h"

#include <errno.h>

enum { METERED_YES = 1, METERED_GUESSED = 3 };

static int ask(sd_bus *bus, sd_bus_message **ret)
{
        static const char interface[] = "org.freedesktop.NetworkManager";
        sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(bus, &m, interface, "/org/freedesktop/NetworkManager",
                                               "org.freedesktop.DBus.Properties", "Get");

        /* Where it does not run, something else looks after the network. */
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", interface, "Metered");
        if (r >= 0)
                r = bus_call(bus, m, bus_deadline_us(BUS_PATIENCE_MS), ret);
        sd_bus_message_unref(m);
        return r;
}

int metered_now(struct err *err)
{
        _cleanup_(bus_closep) sd_bus *bus = NULL;
        sd_bus_message *answer = NULL;
        uint32_t metered = 0;
        int r = bus_open_system(&bus, false);

        (void)err;
        if (r >= 0)
                r = ask(bus, &answer);
        if (r >= 0)
                r = sd_bus_message_read(answer, "v", "u", &metered);
        sd_bus_message_unref(answer);
        if (r < 0)
                log_debug("nobody knows whether the network is metered: %s", strerror(-r));
        return r >= 0 && (metered == METERED_YES || metered == METERED_GUESSED);
}
