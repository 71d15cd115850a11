/*
 * One directory for each supply. On battery is who has one that is being emptied, or something to plug in that is not
 * plugged in, and nothing that gives power. Of several batteries it counts how much they hold together, since many
 * machines empty one after the other.
 */
#include "system/power.h"

#include "base/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

enum { VALUE_SIZE = 64 };

struct sums {
        bool online, offline, discharging;
        unsigned batteries, weighed;
        double percents;     /* the sum of all */
        double charge, full; /* of those that tell how much they hold */
};

/* The first line of a file, "" when there is none. */
static const char *read_value(int dirfd, const char *name, char out[VALUE_SIZE])
{
        _cleanup_(fd_closep) int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? fd_read_full(fd, out, VALUE_SIZE - 1) : 0;

        out[n > 0 ? n : 0] = '\0';
        out[strcspn(out, "\n")] = '\0';
        return out;
}

/* Return a negative number when there is none. */
static double read_number(int dirfd, const char *name)
{
        char text[VALUE_SIZE], *end;
        double n = strtod(read_value(dirfd, name, text), &end);

        return *text && !*end ? n : -1;
}

static void add_battery(struct sums *s, int dirfd)
{
        double percent = read_number(dirfd, "capacity"), full = read_number(dirfd, "energy_full");
        char text[VALUE_SIZE];

        if (str_equal(read_value(dirfd, "present", text), "0"))
                return;
        s->discharging = s->discharging || str_equal(read_value(dirfd, "status", text), "Discharging");
        if (percent < 0)
                return;
        if (full < 0)
                full = read_number(dirfd, "charge_full");
        s->batteries++;
        s->percents += percent;
        if (full > 0) {
                s->weighed++;
                s->full += full;
                s->charge += full * percent / 100;
        }
}

static void add_supply(struct sums *s, int dirfd)
{
        char text[VALUE_SIZE];
        double online;

        /* Of a mouse, a headset, a pen. */
        if (str_equal(read_value(dirfd, "scope", text), "Device"))
                return;
        if (str_equal(read_value(dirfd, "type", text), "Battery")) {
                add_battery(s, dirfd);
                return;
        }
        online = read_number(dirfd, "online");
        s->online = s->online || online > 0;
        s->offline = s->offline || online == 0;
}

void power_read(struct power *ret, const char *directory)
{
        DIR *d = opendir(directory);
        struct sums s = { .online = false };
        double percent;

        *ret = (struct power){ .on_battery = false };
        for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
                /* They are links. */
                _cleanup_(fd_closep) int fd =
                        *e->d_name == '.' ? -1 : openat(dirfd(d), e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);

                if (fd >= 0)
                        add_supply(&s, fd);
        }
        if (d)
                closedir(d);
        ret->has_battery = s.batteries > 0;
        ret->on_battery = !s.online && (s.discharging || (s.offline && s.batteries > 0));
        if (!ret->has_battery)
                return;
        percent = s.weighed == s.batteries ? s.charge / s.full * 100 : s.percents / s.batteries;
        ret->percent = percent < 100 ? (unsigned)percent : 100;
}
