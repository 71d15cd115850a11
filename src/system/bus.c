/*
 * sd_bus_call() waits for the bus to let us in as long as that takes; so the call is made asynchronously, and what
 * comes is processed until it is answered or time is up. Addresses other than of sockets are refused: they would have a
 * program run, or a name resolved.
 */
#include "system/bus.h"

#include "base/stop.h"

#include <errno.h>

static bool is_of_sockets(const char *address)
{
        for (const char *one = address; one; one = strchr(one, ';') ? strchr(one, ';') + 1 : NULL) {
                if (!str_starts(one, "unix:"))
                        return false;
        }
        return true;
}

uint64_t bus_deadline_us(unsigned patience_ms)
{
        return stop_now_us() + (uint64_t)patience_ms * 1000;
}

void bus_closep(sd_bus **bus)
{
        *bus = sd_bus_close_unref(*bus);
}

int bus_open(sd_bus **ret, const char *address, bool takes_descriptors)
{
        _cleanup_(bus_closep) sd_bus *bus = NULL;
        int r;

        if (!is_of_sockets(address))
                return -EPROTONOSUPPORT;
        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, true);
        if (r >= 0)
                r = sd_bus_negotiate_fds(bus, takes_descriptors);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE(bus);
        return 0;
}

int bus_open_system(sd_bus **ret, bool takes_descriptors)
{
        const char *address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");

        return bus_open(ret, address ? address : "unix:path=/run/dbus/system_bus_socket", takes_descriptors);
}

static int take_answer(sd_bus_message *m, void *answer, sd_bus_error *error)
{
        (void)error;
        *(sd_bus_message **)answer = sd_bus_message_ref(m);
        return 1;
}

static int await(sd_bus *bus, sd_bus_message *const *answer, uint64_t deadline_us)
{
        while (!*answer) {
                uint64_t now = stop_now_us();
                int r = sd_bus_process(bus, NULL);

                if (r < 0)
                        return r;
                if (*answer)
                        break;
                if (now >= deadline_us)
                        return -ETIMEDOUT;
                if (r == 0)
                        r = sd_bus_wait(bus, deadline_us - now);
                if (r < 0 && r != -EINTR)
                        return r;
        }
        return 0;
}

int bus_call(sd_bus *bus, sd_bus_message *m, uint64_t deadline_us, sd_bus_message **ret)
{
        sd_bus_message *answer = NULL;
        sd_bus_slot *slot = NULL;
        int r = sd_bus_call_async(bus, &slot, m, take_answer, &answer, UINT64_MAX);

        if (r >= 0)
                r = await(bus, &answer, deadline_us);
        sd_bus_slot_unref(slot);
        if (r >= 0 && sd_bus_message_is_method_error(answer, NULL))
                r = -sd_bus_message_get_errno(answer);
        if (r >= 0 && ret)
                *ret = sd_bus_message_ref(answer);
        sd_bus_message_unref(answer);
        return r < 0 ? r : 0;
}
