/*
 * Calls over D-Bus (sd-bus(3)) that are over when their time is, whatever the bus and who should answer do: a socket
 * that accepts and says nothing, a service that never answers. Nothing is executed for them.
 */
#pragma once

#include "base/util.h"

#include <systemd/sd-bus.h>

enum { BUS_PATIENCE_MS = 1000 };

/* Microseconds of CLOCK_MONOTONIC, @patience_ms from now: for bus_call(). */
uint64_t bus_deadline_us(unsigned patience_ms);

/* A connection, without waiting for it. @address as D-Bus writes it, of sockets alone. @takes_descriptors: in answers.
 * Return 0 or a negative errno. */
int bus_open(sd_bus **ret, const char *address, bool takes_descriptors);

/* The system bus: $DBUS_SYSTEM_BUS_ADDRESS, or where it is by convention. */
int bus_open_system(sd_bus **ret, bool takes_descriptors);

/* Close at once; what was not sent yet is not. */
void bus_closep(sd_bus **bus);

/*
 * Send @m and wait for the answer: an errno for an error, -ETIMEDOUT when there was none in time. @ret may be NULL.
 * Return 0 or a negative errno.
 */
int bus_call(sd_bus *bus, sd_bus_message *m, uint64_t deadline_us, sd_bus_message **ret);
